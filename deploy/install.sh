#!/bin/sh
# Installs llm_llm on a module in place of the llm unit that is there, and checks that it answers;
# what was there comes back if it does not. Needs ssh alone; runs on macOS and Linux.
# The other way: rollback.sh.
set -eu

usage='usage: deploy/install.sh [OPTION...] [USER@]HOST
  --program FILE   the program (default: build/arm64/llm_llm, which deploy/build-arm64 makes)
  --model NAME     ask this model of the module a question afterwards (needs python3 here)
  --service FILE   for a module without one (default: llm-llm.service beside this script)
  --port N         where llm-sys listens on the module (default: 10001)
  --restart-sys    restart llm-sys too
  --wait SECONDS   how long the unit may take to answer (default: 30)
  --dry-run        print what would be changed, change nothing
Exit status: 0 installed and answering; 1 not installed, everything is as it was; 2 wrong usage;
3 not installed, and what was there could not be restored: the next run tries again.
The environment variable SSH holds the ssh command (default: ssh).'

here=$(cd "$(dirname "$0")" && pwd)
service_file=$here/llm-llm.service
program=$here/../build/arm64/llm_llm
target='' model='' port=10001 seconds=30 sys_port='' restart_sys=''
# shellcheck source=deploy/over_ssh.sh
. "$here/over_ssh.sh"

while [ $# -gt 0 ]; do
  case "$1" in
    --program | --model | --service | --port | --wait)
      [ $# -gt 1 ] || wrong "$1 needs a value"
      case "$1" in --program) program=$2 ;; --model) model=$2 ;; --service) service_file=$2 ;;
        --port) port=$2 ;; --wait) seconds=$2 ;; esac
      shift ;;
    --restart-sys) restart_sys=llm-sys sys_port=- ;;
    --dry-run) dry_run=$1 ;;
    --help) echo "$usage"; exit 0 ;;
    -*) wrong "'$1' is not understood" ;;
    *) [ -z "$target" ] || wrong "one HOST, not $target and $1"; target=$1 ;;
  esac
  shift
done
[ -n "$target" ] || wrong "which HOST?"
case "$port$seconds" in
  *[!0-9]*) wrong "--port and --wait take numbers, not '$port' and '$seconds'" ;;
esac

# machine FILE: what uname -m says where it runs.
machine() {
  case "$(od -An -tx1 -N4 "$1" | tr -d ' \n')-$(od -An -tx1 -j18 -N2 "$1" | tr -d ' \n')" in
    7f454c46-b700) echo aarch64 ;;
    7f454c46-3e00) echo x86_64 ;;
    *) fail "$1 is no program for Linux on arm64" ;;
  esac
}

# Whatever ends this script brings back what was there.
sent='' committing=''
finish() {
  status=$?
  trap - EXIT HUP INT TERM
  if [ -n "$sent" ]; then
    step "take back"
    if restored=$(remote repair); then
      [ -z "$restored" ] || remote answers "$port" "$seconds" || echo "nor did it before, maybe" >&2
      if [ -n "$committing" ] && [ -z "$restored" ]; then
        echo "error: installed and answering, but this run did not come to its end" >&2
      else
        echo "error: not installed; everything is as it was" >&2
      fi
    else
      echo "error: what was there could not be restored: run deploy/rollback.sh $host" >&2
      status=3
    fi
  fi
  disconnect
  exit "$status"
}

# ask_model: a whole question and answer, from here, through a tunnel.
ask_model() {
  step "ask $model"
  tunnel=$(python3 -c 'import socket
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1])')
  # shellcheck disable=SC2086  # a command with options
  $ssh_command -o "ControlPath=$connection/ssh" -O forward \
    -L "127.0.0.1:$tunnel:127.0.0.1:$port" "$host" &&
    python3 "$here/../tools/client_baseline_nostream.py" --port "$tunnel" --model "$model" \
      --timeout 120
}

[ -f "$program" ] ||
  fail "there is no $program: deploy/build-arm64 makes it, --program names another"
machine=$(machine "$program")
sum=$(checksum "$program")
[ -z "$model" ] || command -v python3 >/dev/null || fail "--model needs python3 here"

trap finish EXIT
trap 'exit 1' HUP INT TERM
step "connect to $target"
connect "$target"
step "repair"
restored=$(remote repair)
[ -z "$restored" ] ||
  echo "an earlier run did not come to its end; what was there before it ($restored) is restored"
step "check"
kib=$((($(bytes "$program") + 1023) / 1024))
service=$(remote check "$machine" "$kib" "${sys_port:-$port}")
[ "$service" = service ] || [ -f "$service_file" ] ||
  fail "the module has no llm-llm.service, nor is there $service_file"
step "send"
[ -n "$dry_run" ] || sent=yes
send "$program" /opt/m5stack/bin/llm_llm.incoming
[ "$service" = service ] ||
  send "$service_file" /lib/systemd/system/llm-llm.service.incoming
version=VERSION
if [ -z "$dry_run" ]; then
  step "verify"
  version=$(remote verify "$sum")
fi
step "switch"
remote switch "$(date -u +%Y-%m-%dT%H%M%SZ)" "$version"
step "restart"
remote restart $restart_sys
if [ -z "$dry_run" ]; then
  step "wait for answers"
  remote answers "$port" "$seconds"
  [ -z "$model" ] || ask_model
fi
step "commit"
committing=yes
remote commit
sent=''
[ -n "$dry_run" ] ||
  echo "installed llm_llm $version; deploy/rollback.sh $host goes back to what was there"
