#!/usr/bin/env bash
# Proves the README's commands on a machine that has nothing: a minimal Debian 12 made by debootstrap,
# with no compiler, no CMake and no npm in it. As root, with a network:
#   tests/fresh_debian.sh [root folder, default a temporary one] [-- launcher arguments]
# Clones HEAD of this repository into the root, then runs `./moesim run scenarios/first_run.json`
# (or the arguments given). A root folder that is named is kept, and used again as it is.
#   tests/fresh_debian.sh --package FILE.deb [root folder] [-- arguments]
# installs that package (made by `cpack` in a build folder) in place of the clone and runs `moesim`.
#   MOESIM_DEBIAN=trixie tests/fresh_debian.sh ...
# takes that release of Debian in place of Debian 12 (bookworm): 13 brings SimGrid 4.0 and GCC 14.
set -euo pipefail

package=""
if [[ ${1-} == --package ]]; then
  package="$(readlink -f "$2")"
  shift 2
fi

here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
kept="${1-}"
[[ $kept == -- ]] && kept=""
[[ -n $kept ]] && shift
[[ ${1-} == -- ]] && shift
arguments=("$@")
((${#arguments[@]})) || arguments=(run scenarios/first_run.json)
target="${kept:-$(mktemp -d)}"

clean_up() {
  umount -lR "$target/dev" "$target/proc" 2>/dev/null || true
  [[ -n $kept ]] || rm -rf --one-file-system "$target"
}
trap clean_up EXIT

if [[ ! -e $target/etc/debian_version ]]; then
  debootstrap --variant=minbase "${MOESIM_DEBIAN:-bookworm}" "$target" http://deb.debian.org/debian
fi

# What the network of this machine needs: names, apt settings, npm settings, its certificates.
for file in /etc/resolv.conf /etc/hosts /etc/npmrc ~/.npmrc; do
  [[ -r $file ]] && cp -L --parents "$file" "$target"
done
grep -lsE 'Acquire::|Proxy' /etc/apt/apt.conf.d/* | xargs -r cp -t "$target/etc/apt/apt.conf.d"
if [[ -r /etc/ssl/certs/ca-certificates.crt ]]; then
  mkdir -p "$target/usr/local/share/ca-certificates"
  # One file a certificate: that is how the ca-certificates package takes them in.
  (cd "$target/usr/local/share/ca-certificates" &&
    csplit -sz -f host- -b '%03d.crt' /etc/ssl/certs/ca-certificates.crt '/-----BEGIN/' '{*}')
fi

mountpoint -q "$target/proc" || mount -t proc proc "$target/proc"
# A slave mount: taking it away again must not take this machine's /dev/pts along.
mountpoint -q "$target/dev" || mount --rbind --make-rslave /dev "$target/dev"

in_root() {
  chroot "$target" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$@"
}

if [[ -n $package ]]; then
  cp "$package" "$target/root/"
  [[ ${arguments[*]} == "run scenarios/first_run.json" ]] &&
    arguments=(run /usr/share/moesim/scenarios/first_run.json)
  mkdir -p "$target/etc/ssl/certs"
  cp -n /etc/ssl/certs/ca-certificates.crt "$target/etc/ssl/certs/" || true
  # shellcheck disable=SC2016  # for the shell inside
  in_root bash -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends "/root/$1" >/dev/null' \
    install "$(basename "$package")"
  # shellcheck disable=SC2016
  in_root bash -c 'cd /root && moesim "$@"' moesim "${arguments[@]}"
  exit
fi

rm -rf "$target/root/moesim"
git clone -q --no-hardlinks "$here" "$target/root/moesim"

# shellcheck disable=SC2016  # for the shell inside
in_root bash -c 'for tool in g++ clang cmake ninja node npm; do ! command -v $tool || echo "(already there)"; done'
in_root bash -c 'cd /root/moesim && ./moesim "$@"' moesim "${arguments[@]}"
