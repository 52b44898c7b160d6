#!/bin/bash
# Puts a Neovim of a newer distribution release into a folder of its own, with that release's libc
# beside it. The system's packages and apt lists stay as they are; no root rights are needed.
#
# usage: install_neovim.sh DEST
#   SUITE     release to take it from (default: forky on Debian, devel on Ubuntu)
#   MIRROR    package mirror (default: the one the system uses)
#   PATCHELF  the patchelf program (default: the one on PATH)
# Running it again, or twice at once, is harmless. Afterwards DEST/bin/nvim is the editor.
set -euo pipefail

fail() { echo "install_neovim.sh: $*" >&2; exit 1; }

[ $# -eq 1 ] || fail "usage: install_neovim.sh DEST"
DEST=$(realpath -m "$1")
PATCHELF=${PATCHELF:-patchelf}
for tool in apt-get dpkg flock awk "$PATCHELF"; do
  command -v "$tool" >/dev/null || fail "needs $tool"
done

mkdir -p "$(dirname "$DEST")"
exec 9>"$DEST.lock"
flock 9
[ -x "$DEST/bin/nvim" ] && "$DEST/bin/nvim" --version >/dev/null 2>&1 && exit 0

distribution=$(. /etc/os-release && echo "${ID}")
case "$distribution" in
  debian) SUITE=${SUITE:-forky}; COMPONENTS=main ;;
  ubuntu) SUITE=${SUITE:-devel}; COMPONENTS="main universe" ;;
  *) fail "knows Debian and Ubuntu, not $distribution" ;;
esac
KEYRING=/usr/share/keyrings/$distribution-archive-keyring.gpg
[ -r "$KEYRING" ] || fail "needs $KEYRING"

system_mirror() {
  cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | awk '
    /^URIs:/ { print $2; exit }
    /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; exit } }' || true
}
MIRROR=${MIRROR:-$(system_mirror)}
[ -n "$MIRROR" ] || fail "finds no package mirror in /etc/apt; set MIRROR"

WORK=$(mktemp -d "$DEST.partial-XXXXXX")
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$WORK"/{apt/lists/partial,apt/cache/archives/partial,debs,tree/root,tree/bin}
echo "deb [signed-by=$KEYRING] $MIRROR $SUITE $COMPONENTS" >"$WORK/apt/sources.list"
# An empty status file makes apt resolve every dependency, libc included, so no library's
# versioned package name has to be known here.
: >"$WORK/apt/status"
APT=(apt-get
  -o Dir::State::Lists="$WORK/apt/lists" -o Dir::State::status="$WORK/apt/status"
  -o Dir::Cache="$WORK/apt/cache" -o Dir::Etc::sourcelist="$WORK/apt/sources.list"
  -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root -o Acquire::Languages=none
  -o Acquire::Retries=3)
"${APT[@]}" update -qq
mapfile -t PACKAGES < <("${APT[@]}" -s install --no-install-recommends neovim | awk '/^Inst/ { print $2 }')
[ "${#PACKAGES[@]}" -gt 0 ] || fail "$SUITE offers no neovim package"
(cd "$WORK/debs" && "${APT[@]}" download -qq "${PACKAGES[@]}")
for package in "$WORK"/debs/*.deb; do dpkg -x "$package" "$WORK/tree/root"; done

LOADER=$(cd "$WORK/tree" && find root/usr/lib root/lib -name 'ld-linux-*.so.*' -path '*-linux-gnu*' 2>/dev/null | head -n 1 || true)
[ -n "$LOADER" ] || fail "the unpacked libc has no dynamic loader"
LIBRARIES=$DEST/$(dirname "$LOADER")
"$PATCHELF" --set-interpreter "$DEST/$LOADER" --force-rpath --set-rpath "$LIBRARIES" \
  "$WORK/tree/root/usr/bin/nvim"
cat >"$WORK/tree/bin/nvim" <<WRAPPER
#!/bin/sh
export VIMRUNTIME="$DEST/root/usr/share/nvim/runtime"
exec "$DEST/root/usr/bin/nvim" "\$@"
WRAPPER
chmod +x "$WORK/tree/bin/nvim"

rm -rf "$DEST"
mv "$WORK/tree" "$DEST"
"$DEST/bin/nvim" --version >/dev/null || fail "the installed nvim does not start"
