# shellcheck shell=sh
# The steps of push-model.sh on a module; on_module_base.sh comes before them. A file comes as
# NAME.partial, whose length tells how much of it is there, and gets its name once its checksum is
# right.

data=/opt/m5stack/data
spare_kib=10240

bytes() {
  if [ -f "$1" ]; then echo $(($(wc -c <"$1"))); else echo 0; fi
}

# compare MODEL SHA256:BYTES:NAME...: prints the files that are not there as they should be, each
# with how many bytes of it have come already, as "SHA256 BYTES NAME HAVE".
compare() {
  folder=$data/$1
  shift
  for file in "$@"; do
    name=${file##*:}
    size=${file#*:}
    size=${size%:*}
    if [ "$(bytes "$folder/$name")" = "$size" ] && is_whole "$folder/$name" "${file%%:*}"; then
      continue
    fi
    have=$(bytes "$folder/$name.partial")
    if [ "$have" -gt "$size" ]; then have=0; fi
    echo "${file%%:*} $size $name $have"
  done
}

is_whole() {
  [ -f "$1" ] && [ "$(checksum "$1")" = "$2" ]
}

# room BYTES GRAPH_BYTES: whether a model of which BYTES are missing and GRAPH_BYTES are for the NPU
# fits on the disk and in the NPU's memory.
room() {
  [ -d "${data%/*}" ] || fail "there is no ${data%/*}: this is no module with StackFlow"
  need=$((($1 + 1023) / 1024 + spare_kib))
  free=$(free_kib "${data%/*}")
  [ "$free" -ge "$need" ] || fail "$need KiB are needed, $free KiB are free on the disk of $data"
  [ "$2" != 0 ] || return 0
  # One line with the sums, as the driver writes it (runner/cmm_info.h).
  sums=$(grep 'total size=' /proc/ax_proc/mem_cmm_info 2>/dev/null | tail -n 1)
  total=$(echo "$sums" | sed -n 's/.*total size=\([0-9]*\)KB.*/\1/p')
  remain=$(echo "$sums" | sed -n 's/.*remain=\([0-9]*\)KB.*/\1/p')
  need=$((($2 + 1023) / 1024))
  if [ -z "$total" ] || [ -z "$remain" ]; then
    echo "note: /proc/ax_proc/mem_cmm_info does not tell of the NPU's memory: not checked"
  elif [ "$need" -gt "$total" ]; then
    fail "the model's graphs have $need KiB, the NPU's memory (CMM) has $total KiB: it cannot be
  loaded here; --any-size sends it all the same"
  elif [ "$need" -gt "$remain" ]; then
    echo "note: the model's graphs have $need KiB, $remain KiB of the NPU's memory are free now:" \
      "others must be ended first"
  fi
}

# descriptions MODEL: wherever the model may be described (runner/README.md).
descriptions() {
  for folder in "$data/$1" "$data/models"; do
    printf '%s\n' "$folder/$1.json" "$folder/mode_$1.json"
  done
  echo "$data/mode_$1.json"
}

# hide MODEL: removes its description, so that nobody loads a model that is half there.
hide() {
  run mkdir -p "$data/$1" "$data/models"
  descriptions "$1" | while read -r path; do
    if [ -e "$path" ]; then run rm -f "$path"; fi
  done
}

# finish MODEL SHA256 NAME: gives a file its name if it is whole; if not, removes it: status 3.
finish() {
  path=$data/$1/$3
  if is_whole "$path.partial" "$2"; then
    chmod 644 "$path.partial"
    sync
    mv -f "$path.partial" "$path"
  else
    rm -f "$path.partial"
    return 3
  fi
}

# The last line: of a script that was cut off, nothing runs.
perform "compare room hide finish" "" "$@"
