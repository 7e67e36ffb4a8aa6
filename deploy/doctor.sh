#!/bin/sh
# Says what is wrong with a module and how to repair it: runs the installed `llm_llm doctor` there.
#   deploy/doctor.sh [USER@]HOST [OPTIONS OF llm_llm doctor...]
# The environment variable SSH holds another ssh command. Nothing is changed on the module.
# Exit status: 0 healthy, 1 not, 2 the doctor could not be run, 255 ssh failed.
set -eu

if [ $# -eq 0 ] || [ "${1#-}" != "$1" ]; then
  echo "usage: deploy/doctor.sh [USER@]HOST [OPTIONS OF llm_llm doctor...]" >&2
  exit 2
fi
host=$1
shift
# The module's shell takes the words apart again.
words=
for word in "$@"; do
  words="$words '$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'"
done

# shellcheck disable=SC2086  # a command with its options
exec ${SSH:-ssh} "$host" "sh -s -- $words" <<'END_ON_MODULE'
program=/opt/m5stack/bin/llm_llm
settings=/opt/m5stack/etc/llm_llm.env
if [ ! -x "$program" ]; then
  echo "there is no $program; install llm_llm first" >&2
  exit 2
fi
# M5Stack's program of this name takes no commands: it would start as a second unit.
if ! grep -q 'llm_llm doctor' "$program"; then
  echo "$program is not llm_llm, or too old to have a doctor; install llm_llm first" >&2
  exit 2
fi
# The service's settings, in the simple form that systemd reads.
if [ -r "$settings" ]; then
  while IFS= read -r line; do
    value=${line#*=}
    value=${value#\"}
    case $line in
      LLM_LLM_*=*) export "${line%%=*}=${value%\"}" ;;
    esac
  done <"$settings"
fi
"$program" --version >/dev/null || {
  echo "$program does not start on this $(uname -m) with $(getconf GNU_LIBC_VERSION); it is built" \
    "for aarch64 and glibc 2.35 (Ubuntu 22.04) or newer" >&2
  exit 2
}
exec "$program" doctor "$@" </dev/null
END_ON_MODULE
