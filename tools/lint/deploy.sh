#!/usr/bin/env bash
# Shows the files of deploy and the compose file to the programs that read them. On a
# machine without one of these it says what was not checked; in CI that is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."

# have PROGRAM PACKAGE WHAT: whether WHAT can be checked by a program of Debian's package.
have() {
  command -v "$1" >/dev/null && return
  echo "!!! $3 WAS NOT CHECKED: $1 is not there (Debian: apt-get install $2)"
  [[ ${CI:-} != true ]] || exit 1
  return 1
}

if have docker-compose docker-compose "docker-compose.temporal.yml"; then
  for variable in POSTGRES TEMPORAL WORKER OPERATOR CONSOLE; do export "${variable}_PASSWORD=none"; done
  docker-compose -f docker-compose.temporal.yml --profile demo --profile console config >/dev/null
  echo "docker-compose.temporal.yml: ok"
fi

if have systemd-analyze systemd "deploy/systemd"; then
  units=$(mktemp -d) && trap 'rm -rf "$units"' EXIT
  for unit in deploy/systemd/*.service deploy/systemd/*.timer; do # our programs are not installed here
    sed -E 's#^ExecStart=/[^ ]+#ExecStart=/bin/true#' "$unit" >"$units/${unit##*/}"
  done
  out=$(systemd-analyze verify --man=no "$units"/* 2>&1) || true
  if [[ -n $out ]]; then # a key that it does not know is a warning only
    echo "${out//$units/deploy/systemd}"
    exit 1
  fi
  for unit in "$units"/*.service; do # 0 is closed, 10 open
    systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" >/dev/null || { echo "${unit##*/}: systemd-analyze security finds it too open"; exit 1; }
  done
  echo "deploy/systemd: ok"
fi

if have promtool prometheus "deploy/prometheus"; then
  promtool check config deploy/prometheus/prometheus.yaml >/dev/null
  promtool test rules deploy/prometheus/ledgerline.test.yaml
  echo "deploy/prometheus: ok"
fi
