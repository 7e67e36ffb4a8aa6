#!/bin/sh
# Copies a model folder to a module: what is there already is left, what was cut off goes on where
# it ended, and every file is checked. The description (mode_NAME.json) goes away first and comes
# last, so that nobody loads a model that is half there.
set -eu

usage='usage: deploy/push-model.sh [OPTION...] [USER@]HOST DIR
  --any-size   send it even if its graphs are larger than the memory of the NPU
  --dry-run    print what would be sent
DIR is a StackFlow folder, its mode_NAME.json in it, beside it or in models/ beside it (NAME is the
name of DIR), or a HuggingFace folder. It becomes /opt/m5stack/data/NAME.
Exit status: 0 all is there; 1 not (run it again: it goes on); 2 wrong usage.
The environment variable SSH holds the ssh command (default: ssh).'

here=$(cd "$(dirname "$0")" && pwd)
target='' folder='' any_size=''
# shellcheck source=deploy/over_ssh.sh
. "$here/over_ssh.sh"
steps=on_module_model.sh

while [ $# -gt 0 ]; do
  case "$1" in
    --any-size) any_size=yes ;;
    --dry-run) dry_run=$1 ;;
    --help) echo "$usage"; exit 0 ;;
    -*) wrong "'$1' is not understood" ;;
    *)
      [ -z "$folder" ] || wrong "HOST and DIR, and '$1'?"
      if [ -z "$target" ]; then target=$1; else folder=$1; fi ;;
  esac
  shift
done
[ -n "$folder" ] || wrong "which HOST and DIR?"
[ -d "$folder" ] || fail "there is no folder $folder"
folder=$(cd "$folder" && pwd)
model=${folder##*/}

# The description, "" where the folder has none.
find_description() {
  for path in "$folder/mode_$model.json" "$folder/$model.json" "$folder/../mode_$model.json" \
    "$folder/../models/mode_$model.json"; do
    [ ! -f "$path" ] || { echo "$path"; return; }
  done
  [ -f "$folder/config.json" ] ||
    fail "$folder has no mode_$model.json and no config.json: it is no model"
}

# The other files, without hidden ones; a config.json, which makes a folder a model, last.
list_files() {
  (cd "$folder" && find -L . -type f ! -path '*/.*' ! -name '*.partial') | sed 's|^\./||' | sort |
    grep -vxF -e config.json -e "mode_$model.json" -e "$model.json" || true
  [ ! -f "$folder/config.json" ] || echo config.json
}

check_files() {
  case "$model$(echo "$files" | tr -d '\n')" in
    *[!A-Za-z0-9._+@=/-]*)
      fail "names of models and files may have letters, digits and . _ + @ = - only" ;;
  esac
  for name in $files $described_at; do
    if head -c 40 "$(source_of "$name")" | grep -q '^version https://git-lfs'; then
      fail "$(source_of "$name") is a Git LFS pointer, not the file: git lfs pull"
    fi
  done
}

# graph_bytes: of all that is loaded into the NPU's memory.
graph_bytes() {
  sum=0
  for name in $files; do
    case "$name" in *.axmodel) sum=$((sum + $(bytes "$folder/$name"))) ;; esac
  done
  echo "$sum"
}

# sums: SHA256:BYTES:NAME of each.
sums() {
  for name in $files $described_at; do
    path=$(source_of "$name")
    echo "$(checksum "$path"):$(bytes "$path"):$name"
  done
}

# source_of NAME: the file here.
source_of() {
  if [ "$1" = "$described_at" ]; then echo "$description"; else echo "$folder/$1"; fi
}

# send_file SHA256 BYTES NAME HAVE: the rest of it, from the byte after HAVE.
send_file() {
  path=/opt/m5stack/data/$model/$3
  if [ -n "$dry_run" ]; then
    echo "would send $(($2 - $4)) bytes of $3 to $path"
    return
  fi
  step "send $3, $2 bytes$([ "$4" = 0 ] || echo ", from $4 on")"
  if [ "$4" = 0 ]; then to='>'; else to='>>'; fi
  tail -c "+$(($4 + 1))" "$(source_of "$3")" |
    on_host "$sudo sh -c 'mkdir -p ${path%/*} && cat $to$path.partial'" ||
    fail "$3 was cut off: run this again, it goes on where it ended"
  status=0
  remote finish "$model" "$1" "$3" || status=$?
  case "$status-$4" in
    0-*) ;;
    3-0) fail "$3 came with another checksum: run this again" ;;
    3-*) send_file "$1" "$2" "$3" 0 ;; # what was there was of another file
    *) fail "$3 could not be finished: run this again" ;;
  esac
}

description=$(find_description)
described_at=${description:+../models/mode_$model.json}
files=$(list_files)
check_files

trap disconnect EXIT
trap 'exit 1' HUP INT TERM
step "connect to $target"
connect "$target"
step "compare"
# shellcheck disable=SC2046  # words without spaces
missing=$(remote compare "$model" $(sums))
step "check"
if [ -n "$any_size" ]; then graphs=0; else graphs=$(graph_bytes); fi
remote room "$(echo "$missing" | awk '{ sum += $2 - $4 } END { printf "%.0f", sum }')" "$graphs"
if [ -n "$missing" ]; then
  remote hide "$model"
  echo "$missing" | grep -v " $described_at " >"$connection/missing" || true
  if [ -n "$description" ]; then
    echo "$(checksum "$description") $(bytes "$description") $described_at 0" \
      >>"$connection/missing"
  fi
  # Not its input: that is for what it starts.
  while read -r sum size name have <&3; do
    send_file "$sum" "$size" "$name" "$have"
  done 3<"$connection/missing"
fi
[ -n "$dry_run" ] || echo "$model is on $target"
