# shellcheck shell=sh
# The steps of install.sh and rollback.sh on a module; on_module_base.sh comes before them.
#
# What is changed is kept in BACKUPS/DATE first: `manifest` has a line for each path, `files/` the
# plain files. BACKUPS/journal names the DATE of a run that has not come to its end; whoever comes
# next restores that first. Every path is switched by one rename, so that at any moment it is the
# old or the new one.

bin=/opt/m5stack/bin
incoming=$bin/llm_llm.incoming
backups=/opt/m5stack/share/llm_llm-backups
journal=$backups/journal
service_file=/lib/systemd/system/llm-llm.service
oldest_glibc=2.35
spare_kib=1024

# --- what there is ---

property() {
  systemctl show -p "$1" --value llm-llm.service
}

has_service() {
  [ "$(property LoadState)" = loaded ]
}

# The program that the service executes, or will once the sent service file is in place.
executed() {
  if has_service; then
    property ExecStart | sed -n 's/.*path=\([^ ;]*\).*/\1/p' | tail -n 1
  elif [ -e "$service_file.incoming" ]; then
    sed -n 's/^ExecStart=[-@:+!]*\([^ ]*\).*/\1/p' "$service_file.incoming" | tail -n 1
  else
    echo "$bin/llm_llm"
  fi
}

# names PROGRAM: every path that an installation of PROGRAM may change.
names() {
  {
    printf '%s\n' "$1" "$(executed)" "$bin/llm_llm" "$bin/llm-llm"
    if has_service; then property FragmentPath; else echo "$service_file"; fi
  } | sort -u
}

is_package() {
  command -v apt-mark >/dev/null &&
    [ "$(dpkg-query -W -f '${db:Status-Status}' llm-llm 2>/dev/null)" = installed ]
}

is_held() {
  apt-mark showhold | grep -qx llm-llm
}

# --- steps that change nothing ---

# check MACHINE KIB PORT: whether a program for MACHINE, of KIB, can be installed. PORT is that of
# llm-sys, or - when it will be restarted anyway. Prints "service" or "no-service".
check() {
  [ "$(uname -m)" = "$1" ] || fail "this machine is $(uname -m), the program is for $1"
  [ -d "$bin" ] || fail "there is no $bin: this is no module with StackFlow (package llm-sys)"
  for tool in systemctl sha256sum bash flock awk; do
    command -v "$tool" >/dev/null || fail "there is no $tool here"
  done
  glibc=$(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)
  lower=$(printf '%s\n' "$glibc" "$oldest_glibc" | sort -t . -k 1,1n -k 2,2n | head -n 1)
  [ "$lower" = "$oldest_glibc" ] ||
    fail "glibc is $glibc, the program needs $oldest_glibc (Ubuntu 22.04) or newer"
  check_service
  check_disk "$2"
  [ "$3" = - ] || sys_answers "$3" ||
    fail "llm-sys does not answer on port $3 ($answer): systemctl status llm-sys, or --restart-sys"
  if has_service; then echo service; else echo no-service; fi
}

check_service() {
  case "$(property LoadState)" in
    loaded | not-found) ;;
    *) fail "llm-llm.service is $(property LoadState): systemctl unmask llm-llm, or repair it" ;;
  esac
  path=$(executed)
  case "${path##*/}" in
    llm_llm* | llm-llm*) ;;
    *)
      fail "llm-llm.service executes '$path', which is no llm_llm: set ExecStart to $bin/llm_llm" ;;
  esac
  for path in $(names "$bin/llm_llm"); do
    [ ! -d "$path" ] || fail "$path is a folder"
  done
}

# The program, and a copy of each file that it replaces.
check_disk() {
  need=$(($1 + spare_kib))
  for path in $(names "$bin/llm_llm"); do
    if [ -f "$path" ] && [ ! -L "$path" ]; then
      need=$((need + $(du -k "$path" | cut -f 1)))
    fi
  done
  for folder in "$bin" "${backups%/*/*}"; do
    free=$(free_kib "$folder")
    [ "$free" -ge "$need" ] ||
      fail "$need KiB are needed, $free KiB are free on the disk of $folder: try apt-get clean"
  done
}

# verify SHA256: whether what was sent is whole and runs here. Prints its version.
verify() {
  sum=$(checksum "$incoming")
  [ "$sum" = "$1" ] || fail "the program came with checksum $sum instead of $1"
  chmod 755 "$incoming"
  said=$("$incoming" --version 2>&1) || fail "the program does not run here: $said"
  version=${said#llm_llm }
  case "$version" in
    "$said" | *[!0-9A-Za-z.+~-]*)
      fail "the program's --version says '$said', not 'llm_llm NUMBER'" ;;
  esac
  echo "$version"
}

# list: the backups, oldest first.
list() {
  date=
  for folder in "$backups"/*/; do
    [ -e "$folder/manifest" ] || continue
    date=${folder%/}
    note=
    [ ! -e "$folder/restored" ] || note=' (was restored)'
    echo "${date##*/}  before $(sed -n 's/^program //p' "$folder/manifest")$note"
  done
  [ -n "$date" ] || echo "there are no backups"
}

# newest: the date of the newest backup that was not restored yet.
newest() {
  found=
  for folder in "$backups"/*/; do
    if [ -e "$folder/manifest" ] && [ ! -e "$folder/restored" ]; then found=$folder; fi
  done
  [ -n "$found" ] || fail "there is no backup to go back to (--list shows all)"
  found=${found%/}
  echo "${found##*/}"
}

# ask PORT REQUEST: llm-sys's reply in `answer`; fails when there is none, or an error.
ask() {
  # shellcheck disable=SC2016  # expanded by bash, which has TCP
  answer=$(bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "%s\n" "$2" >&3 &&
    IFS= read -r -t 5 line <&3 && printf "%s" "$line"' bash "$1" "$2" 2>/dev/null) ||
    answer="nobody answers on port $1"
  case "$answer" in *'"code":0'*) ;; *) return 1 ;; esac
}

sys_answers() {
  ask "$1" '{"request_id":"1","work_id":"sys","action":"ping"}'
}

# Whether the service's own process is who listens for llm-sys: another unit, started by hand, would
# answer as well.
service_listens() {
  process=$(property MainPID)
  answer="the service does not run"
  [ "${process:-0}" != 0 ] || return 1
  answer="the service's process does not listen at /tmp/rpc.llm"
  # shellcheck disable=SC2012  # links, whose targets are wanted
  sockets=$(ls -l "/proc/$process/fd" 2>/dev/null | sed -n 's/.* -> \(socket:.*\)/\1/p')
  [ -n "$sockets" ] &&
    awk '$8 == "/tmp/rpc.llm" { print "socket:[" $7 "]" }' /proc/net/unix | grep -Fqx "$sockets"
}

# Not the time of day: a module learns that from the network, some time after it was switched on.
uptime_seconds() {
  cut -d . -f 1 /proc/uptime
}

# answers PORT SECONDS: waits until llm-sys answers ping, and the service's program taskinfo.
answers() {
  if ! has_service; then
    echo "there is no llm-llm.service, as before"
    return 0
  fi
  end=$(($(uptime_seconds) + $2))
  until service_listens && sys_answers "$1" &&
    ask "$1" '{"request_id":"2","work_id":"llm","action":"taskinfo"}'; do
    [ "$(uptime_seconds)" -lt "$end" ] ||
      fail "the unit did not answer for $2 s: $answer; journalctl -u llm-llm"
    sleep 0.1
  done
  echo "llm-sys and the unit answer on port $1"
}

# --- steps that change something ---

# replace_by_copy FILE PATH. A PATH.new that a killed run has left may be a link, which cp follows.
replace_by_copy() {
  run rm -f "$2.new"
  run cp -p "$1" "$2.new"
  run sync
  run mv -f "$2.new" "$2"
}

# replace_by_link TARGET PATH
replace_by_link() {
  run rm -f "$2.new"
  run ln -s "$1" "$2.new"
  run mv -f "$2.new" "$2"
}

# write_journal DATE: from here to `commit`, or the end of `restore`, that backup is what counts.
write_journal() {
  run mkdir -p "$backups"
  echo "$1" | run_to "$journal.new"
  run sync
  run mv -f "$journal.new" "$journal"
}

# run_to FILE: writes its input there.
run_to() {
  if [ -n "$dry_run" ]; then echo "would run: write '$(cat)' to $1"; else cat >"$1"; fi
}

# back_up DATE PROGRAM: keeps what is there. The manifest comes last: without it there is no backup.
back_up() {
  folder=$backups/$1
  if [ -n "$dry_run" ]; then
    names "$2" | sed "s|.*|would keep & in $folder|"
    return
  fi
  mkdir -p "$folder/files"
  {
    echo "program ${2##*/}"
    for path in $(names "$2"); do back_up_path "$path"; done
    if is_package; then
      if is_held; then echo hold; else echo unhold; fi
    fi
  } >"$folder/manifest.new"
  sync
  mv -f "$folder/manifest.new" "$folder/manifest"
}

back_up_path() {
  if [ -L "$1" ]; then
    echo "link $1 $(readlink "$1")"
  elif [ -e "$1" ]; then
    mkdir -p "$folder/files${1%/*}"
    cp -p "$1" "$folder/files$1"
    echo "file $1 $(checksum "$folder/files$1")"
  else
    echo "absent $1"
  fi
}

# switch DATE VERSION: puts the verified program in place of the one that the service executes.
switch() {
  program=$bin/llm_llm-$2
  links=$(printf '%s\n' "$(executed)" "$bin/llm_llm" "$bin/llm-llm" | sort -u)
  date=$1
  while [ -e "$backups/$date" ]; do date=${date}2; done # within a second; sorts behind
  write_journal "$date"
  back_up "$date" "$program"
  run mv -f "$incoming" "$program"
  for path in $links; do
    case "$path" in
      "$program") ;;
      "$bin"/*) replace_by_link "${program##*/}" "$path" ;;
      *) replace_by_link "$program" "$path" ;;
    esac
  done
  if ! has_service; then
    run mv -f "$service_file.incoming" "$service_file"
    run systemctl daemon-reload
    run systemctl enable llm-llm.service
  fi
  if is_package; then run apt-mark hold llm-llm; fi
}

# restart [llm-sys]
restart() {
  # llm-llm requires llm-sys: systemd stops the one with the other.
  for unit in "$@" llm-llm; do
    run systemctl restart "$unit.service" ||
      fail "systemctl restart $unit failed: journalctl -u $unit"
  done
}

# commit: the run has come to its end.
commit() {
  run rm -f "$journal"
}

# discard: what was sent and not used.
discard() {
  rm -f "$incoming" "$service_file.incoming" "$journal.new"
}

# restore DATE: makes everything what it was before that installation. Can be repeated.
restore() {
  manifest=$backups/$1/manifest
  [ -e "$manifest" ] || fail "there is no backup '$1' (--list shows all)"
  check_backup "$1"
  write_journal "$1"
  # What was there first: at no moment there is no program.
  while read -r kind path rest; do
    case "$kind" in
      file) replace_by_copy "$backups/$1/files$path" "$path" ;;
      link) replace_by_link "$rest" "$path" ;;
    esac
  done <"$manifest"
  if grep -qx "absent $service_file" "$manifest" && [ -e "$service_file" ]; then
    run systemctl disable --now llm-llm.service
  fi
  sed -n 's/^absent //p' "$manifest" | while read -r path; do run rm -f "$path" "$path.new"; done
  run systemctl daemon-reload
  if is_package; then
    run apt-mark "$(grep -x -e hold -e unhold "$manifest" || echo unhold)" llm-llm
  fi
  if has_service; then
    run systemctl restart llm-llm.service ||
      echo "systemctl restart llm-llm failed: journalctl -u llm-llm"
  fi
  mark_restored "$1"
  run rm -f "$journal"
}

check_backup() {
  while read -r kind path sum; do
    [ "$kind" = file ] || continue
    [ "$(checksum "$backups/$1/files$path")" = "$sum" ] ||
      fail "backup $1 is damaged: files$path has another checksum; nothing was changed"
  done <"$backups/$1/manifest"
}

# That installation and later ones are undone.
mark_restored() {
  undone=
  for folder in "$backups"/*/; do
    [ "$folder" != "$backups/$1/" ] || undone=yes
    if [ -n "$undone" ] && [ -e "$folder/manifest" ]; then run touch "$folder/restored"; fi
  done
}

# repair: takes back what a run has left that did not come to its end. Prints its DATE if there was
# something to restore.
repair() {
  [ -n "$dry_run" ] || discard
  [ -e "$journal" ] || return 0
  date=$(cat "$journal")
  if [ -e "$backups/$date/manifest" ]; then
    echo "$date"
    restore "$date" >&2
  else
    # It had changed nothing yet.
    case "$date" in [0-9]*Z*) run rm -rf "$backups/$date" ;; esac
    run rm -f "$journal"
  fi
}

# The last line: of a script that was cut off, nothing runs.
perform "check list newest answers" "repair verify switch restart commit restore" "$@"
