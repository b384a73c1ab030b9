#!/bin/sh
# install-tools.sh DIRECTORY TOOL…: downloads released programs (sops, vals, yq, uv, bun) into a directory. The version of each
# is in a variable such as SOPS_VERSION. What is downloaded has to have the SHA-256 that its publisher has released with it.
set -eu
releases=${RELEASES:-https://github.com}
directory=$1
shift

machine=$(uname -m)
case $machine in
x86_64) architecture=amd64 bun=x64 ;;
aarch64) architecture=arm64 bun=aarch64 ;;
*) echo "There are no programs for $machine." >&2 && exit 1 ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

# download REPOSITORY TAG FILE SUMS: a file of a release, held against the release's list of checksums, in either format.
download() {
	url=$releases/$1/releases/download/$2
	curl -fsSL --retry 3 -o "$3" "$url/$3"
	curl -fsSL --retry 3 -o sums "$url/$4"
	expected=$(awk -v name="$3" '
		($2 == name || $2 == "*" name) && length($1) == 64 { print $1 }
		$1 == "SHA256" && $2 == "(" name ")" { print $4 }' sums)
	[ -n "$expected" ] || { echo "$url/$4 has no SHA-256 of $3." >&2 && exit 1; }
	echo "$expected  $3" | sha256sum -c >&2
}

for tool in "$@"; do
	case $tool in
	sops)
		download getsops/sops "v$SOPS_VERSION" "sops-v$SOPS_VERSION.linux.$architecture" "sops-v$SOPS_VERSION.checksums.txt"
		mv "sops-v$SOPS_VERSION.linux.$architecture" sops
		;;
	vals)
		download helmfile/vals "v$VALS_VERSION" "vals_${VALS_VERSION}_linux_$architecture.tar.gz" "vals_${VALS_VERSION}_checksums.txt"
		tar -xzf "vals_${VALS_VERSION}_linux_$architecture.tar.gz" vals
		;;
	yq)
		download mikefarah/yq "v$YQ_VERSION" "yq_linux_$architecture" checksums-bsd
		mv "yq_linux_$architecture" yq
		;;
	uv)
		name=uv-$machine-unknown-linux-gnu
		download astral-sh/uv "$UV_VERSION" "$name.tar.gz" "$name.tar.gz.sha256"
		tar -xzf "$name.tar.gz" --strip-components=1 "$name/uv" "$name/uvx"
		chmod 0755 uvx && mv uvx "$directory/"
		;;
	bun)
		download oven-sh/bun "bun-v$BUN_VERSION" "bun-linux-$bun.zip" SHASUMS256.txt
		unzip -q -j "bun-linux-$bun.zip" "bun-linux-$bun/bun"
		;;
	*) echo "There is no tool $tool." >&2 && exit 1 ;;
	esac
	chmod 0755 "$tool" && mv "$tool" "$directory/"
done
