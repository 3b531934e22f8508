#!/bin/sh
# Run a Lambda function's worker ($1) where it finds what AWS gives it: its layers in /opt, its code
# in /var/task, a private /tmp, and AWS's host names. All of it ends with the process.
# Set by functions.py: SANDBOX_HOSTS, SANDBOX_PROGRAM, SANDBOX_KEEP (folders, colon between),
# SANDBOX_UNSHARE (more options of unshare). Set by ministack: _LAMBDA_LAYERS_DIRS.
set -eu

if [ -z "${SANDBOX_ENTERED:-}" ]; then
  export SANDBOX_ENTERED=1
  # shellcheck disable=SC2086 # options, not one word
  exec unshare ${SANDBOX_UNSHARE} --mount --propagation private -- "$0" "$@"
fi

work=$(dirname "$1")
mount --bind "$SANDBOX_HOSTS" /etc/hosts

# Programs of layers name their interpreter /var/lang/bin/python.
mkdir "$work/var" "$work/var-work"
mount -t overlay overlay -o "lowerdir=/var,upperdir=$work/var,workdir=$work/var-work" /var
mkdir -p /var/task /var/lang/bin
mount --bind "$work/code" /var/task
ln -sf "$SANDBOX_PROGRAM" "/var/lang/bin/$(basename "$SANDBOX_PROGRAM")"
ln -sf "$SANDBOX_PROGRAM" /var/lang/bin/python

mount -t tmpfs -o mode=755 tmpfs /opt
IFS=:
for layer in ${_LAMBDA_LAYERS_DIRS:-}; do
  cp -a "$layer/." /opt/
done
# ministack unpacks layers without their permissions; Lambda keeps them.
chmod -R a+rX /opt
find /opt -type f \( -name kubectl -o -name helm -o -path '/opt/bin/*' \) -exec chmod a+x {} +

kept="$work:$SANDBOX_KEEP"
# An empty /tmp in which only what the worker itself runs from is seen again.
position=0
for folder in $kept; do
  case $folder in /tmp/*)
    position=$((position + 1))
    mkdir -p "/var/kept/$position"
    mount --bind "$folder" "/var/kept/$position"
  esac
done
mount -t tmpfs -o mode=1777,size=512m tmpfs /tmp
position=0
for folder in $kept; do
  case $folder in /tmp/*)
    position=$((position + 1))
    mkdir -p "$folder"
    mount --move "/var/kept/$position" "$folder"
  esac
done
unset IFS

program=$SANDBOX_PROGRAM
# AWS sets no endpoint: its host names above lead to the emulator.
unset AWS_ENDPOINT_URL SANDBOX_ENTERED SANDBOX_HOSTS SANDBOX_PROGRAM SANDBOX_KEEP SANDBOX_UNSHARE
export PATH="/opt/bin:$PATH" TMPDIR=/tmp
cd "$work/code"
exec "$program" "$1"
