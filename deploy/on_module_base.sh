# shellcheck shell=sh
# What on_module.sh and on_module_model.sh have in common. over_ssh.sh sends it to a module in front
# of one of them, where sh runs both, as root:
#   cat on_module_base.sh on_module.sh | ssh HOST sh -s -- [--dry-run] STEP [ARGUMENT...]
# POSIX sh, as dash and busybox have it. With --dry-run a step prints what it would change.
set -eu

dry_run=''

fail() {
  echo "error: $*" >&2
  exit 1
}

# run COMMAND...: a command that changes something.
run() {
  if [ -n "$dry_run" ]; then echo "would run: $*"; else "$@"; fi
}

# checksum FILE: its SHA-256.
checksum() {
  sha256sum <"$1" | cut -d ' ' -f 1
}

# free_kib FOLDER: of its disk.
free_kib() {
  df -Pk "$1" | awk 'NR == 2 { print $4 }'
}

# One at a time of the steps that change something, should an earlier one, whose sender has gone,
# still be at work.
lock() {
  exec 9>/run/llm_llm-install.lock
  flock -w 120 9 || fail "another installation has been at work for two minutes"
}

# perform STEPS LOCKED_STEPS [--dry-run] STEP [ARGUMENT...]: runs a function of one of the two lists.
perform() {
  steps=" $1 "
  locked_steps=" $2 "
  shift 2
  if [ "${1:-}" = --dry-run ]; then
    dry_run=yes
    shift
  fi
  [ "$(id -u)" = 0 ] || fail "this needs root"
  case "$steps$locked_steps" in
    *" ${1:-} "*) ;;
    *) fail "there is no step '${1:-}'" ;;
  esac
  case "$locked_steps" in
    *" $1 "*) [ -n "$dry_run" ] || lock ;;
  esac
  "$@"
}
