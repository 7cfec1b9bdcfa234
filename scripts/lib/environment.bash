# Sourced by every script here: the same ground whoever calls, a person's shell or a bare CI.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PATH="${PATH:-/usr/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export HOME="${HOME:-$root/build/home}"  # ccache wants one.

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
