#!/bin/bash
# Unpacks the distribution's own Chromium, with what it needs and this system lacks, into a folder.
# The system's packages stay as they are; no root rights are needed.
#
# usage: install_chromium.sh DEST
#   STATUS  dpkg's status file (default: the system's), which says what is there already
# Running it again, or twice at once, is harmless. Afterwards DEST/chromium is the browser.
set -euo pipefail

fail() { echo "install_chromium.sh: $*" >&2; exit 1; }

[ $# -eq 1 ] || fail "usage: install_chromium.sh DEST"
DEST=$(realpath -m "$1")
STATUS=${STATUS:-/var/lib/dpkg/status}
for tool in apt-get dpkg flock awk; do
  command -v "$tool" >/dev/null || fail "needs $tool"
done
[ "$(. /etc/os-release && echo "$ID")" = debian ] ||
  fail "knows Debian only; install Chromium, or set CHROMIUM to its path"

mkdir -p "$(dirname "$DEST")"
exec 9>"$DEST.lock"
flock 9
[ -x "$DEST/chromium" ] && "$DEST/chromium" --version >/dev/null 2>&1 && exit 0

WORK=$(mktemp -d "$DEST.partial-XXXXXX")
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$WORK"/{lists/partial,cache/archives/partial,debs,tree}
cp "$STATUS" "$WORK/status"
APT=(apt-get
  -o Dir::State::Lists="$WORK/lists" -o Dir::State::status="$WORK/status"
  -o Dir::Cache="$WORK/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none
  -o Acquire::Retries=3)
"${APT[@]}" update -qq >&2
mapfile -t PACKAGES < <("${APT[@]}" -s install --no-install-recommends chromium fonts-dejavu-core |
  awk '/^Inst/ { print $2 }')
[ "${#PACKAGES[@]}" -gt 0 ] || fail "the distribution offers no chromium package"
(cd "$WORK/debs" && "${APT[@]}" download -qq "${PACKAGES[@]}" >&2)
for package in "$WORK"/debs/*.deb; do dpkg -x "$package" "$WORK/tree"; done

cat >"$WORK/tree/chromium" <<WRAPPER
#!/bin/sh
root="$DEST"
for folder in "\$root"/usr/lib/*-linux-gnu "\$root"/lib/*-linux-gnu "\$root/usr/lib/chromium"; do
  LD_LIBRARY_PATH="\$folder\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
done
export LD_LIBRARY_PATH
export XDG_DATA_DIRS="\$root/usr/share:\${XDG_DATA_DIRS:-/usr/local/share:/usr/share}"
exec "\$root/usr/lib/chromium/chromium" "\$@"
WRAPPER
chmod +x "$WORK/tree/chromium"
rm -rf "$DEST"
mv "$WORK/tree" "$DEST"
"$DEST/chromium" --version >&2 || fail "the unpacked chromium does not start"
