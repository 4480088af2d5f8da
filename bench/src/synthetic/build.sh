# One build of a synthetic graph. Needs a shell alone; where there is a compiler,
# its threads compile.
set -eu

# The builder's own PATH leads nowhere.
PATH=/bin:/usr/bin:/usr/local/bin:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin
export PATH

# A unit of work for a shell.
count() {
    number=0
    while [ "$number" -lt 3000 ]; do number=$((number + 1)); done
}

# A unit of work for a compiler: so many functions that nothing calls.
if command -v gcc >/dev/null && command -v as >/dev/null; then
    how=gcc
    functions=0
    while [ "$functions" -lt 6 ]; do
        echo "double f$functions(double *a, int n) { double s = 0; for (int i = 0; i < n; i++)"
        echo "{ s += a[i] * $functions.5; if (s > 1e9) s /= a[i] + 2; } return s; }"
        functions=$((functions + 1))
    done >unit.c
    unit() { gcc -O2 -c unit.c -o "$1.o"; }
else
    how=shell
    unit() { count; }
fi

units() {
    left=$1
    while [ "$left" -gt 0 ]; do
        unit "$2"
        left=$((left - 1))
    done
}

# A thread: every so manieth unit, while it holds some memory. That is little: filling
# takes a shell as long as a unit or two, and each thread does it.
thread() {
    held=x
    filled=1
    while [ "$filled" -lt "$((kib * 1024))" ]; do
        held=$held$held
        filled=$((filled * 2))
    done
    own=$1
    while [ "$own" -lt "$parallel" ]; do
        unit "thread$1"
        own=$((own + threads))
    done
}

threads=${NIX_BUILD_CORES:-1}
if [ "$threads" -eq 0 ]; then
    threads=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
fi

units "$serial" serial
all=
next=0
while [ "$next" -lt "$threads" ] && [ "$next" -lt "$parallel" ]; do
    thread "$next" &
    all="$all $!"
    next=$((next + 1))
done
for one in $all; do wait "$one"; done
units "$link" link
echo "$how" >"$out"
