//! Whatever happens to the guard, nothing stays stopped, and nobody else is
//! signalled.

use std::process::Command;
use std::time::{Duration, Instant};

use monitor::guard::stop::{Stopped, Stopper};
use monitor::processes::Proc;

use super::said;
use super::shapes::tell;
use crate::tools::{RealNix, has, is_root, real_nix, skip};

/// How often each way to end a guard is tried. For all that can be asked:
/// `NIXPACE_GUARD_ROUNDS=200 cargo nextest run -p tests -E 'test(nothing_stays_stopped)'`
fn rounds() -> u32 {
    std::env::var("NIXPACE_GUARD_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// Builds of which one at a time fits, decoys, and a guard that is ended again
/// and again, `$rounds` times in the way that `$end_it` says, once `$first` is done.
const ENDED: &str = r#"
    confine 600
    guarded_daemon
    touch told/decoys told/woken told/pids
    chmod 0666 told/*
    wait_for_end='trap "echo $$ >> /tmp/told/woken" CONT; echo $$ >> /tmp/told/decoys
        while [ ! -e /tmp/told/end ]; do sleep 0.05; done'
    # By other users: what is called like a builder, and has its environment.
    decoy() { # USER
        NIX_BUILD_TOP=/build name=tiny1 setpriv --reuid $1 --regid 65534 --clear-groups \
            bash -c "$wait_for_end" sh &
    }
    for user in 65534 12345 0; do decoy $user; done
    # And what looks like Nix and a builder: a lock, a build user's file, a log.
    mkdir -p told/x/userpool told/x/drvs/bb
    log=/tmp/told/x/drvs/bb/c3whrs7smbl8j4lvn7dm50p9035nk7-liba-1.0.drv
    touch $log told/x/userpool/12345
    chmod -R a+rwX told/x
    export wait_for_end log
    setpriv --reuid 12345 --regid 65534 --clear-groups flock told/x/userpool/12345 bash -c '
        exec 7<> /tmp/told/x/userpool/12345 8<> $log
        NIX_BUILD_TOP=/build setsid bash -c "$wait_for_end" & wait' &
    # Children in sessions of their own, and some that are nobody's children.
    one() {
        printf '%s\n' "(derivation { name = \"$name\"; system = builtins.currentSystem;
            inherit salt; builder = \"/bin/sh\"; args = [ \"-euc\" ''PATH=/bin:/usr/bin
            echo \$\$ >> /tmp/told/pids
            (sleep 0.6 & wait) & setsid sleep 0.7 & (setsid sh -c 'sleep 0.7 & sleep 0.1' &)
            sleep 0.8; wait; echo ok > \$out'' ]; })"
    }
    names=$(seq -f 'tiny%g' 16)
    { echo '{ salt }: ['; for name in $names; do one; done; echo ']'; } > graph.nix
    costs 400
    touch failed
    while [ ! -e told/over ]; do
        nix-build --no-out-link graph.nix --argstr salt $(date +%s%N) > built 2> errors \
            || cat errors >> failed
    done & nix=$!
    stopping=0 decoys=4
    eval "$first"
    for round in $(seq $rounds); do
        rm -f run/full
        ./monitor guard --costs costs.json 2>> guard.log & guard=$!
        for try in $(seq 500); do
            if [ "$(stopped)" != 0 ]; then stopping=$((stopping + 1)); break; fi
            sleep 0.02
        done
        sleep 0.0$((RANDOM % 1000))
        worker=$(pgrep -P $guard) || true
        start=$(date +%s%N)
        eval "$end_it"
        for try in $(seq 500); do
            [ "$(stopped)" != 0 ] || break
            sleep 0.02
        done
        echo "round $round: $(stopped) are stopped, after $((($(date +%s%N) - start) / 1000000)) ms"
        kill -KILL $guard $worker 2> /dev/null || true
        wait $guard 2> /dev/null || true
        # One that has the number that a builder had.
        pid=$(tail -n 1 told/pids)
        if [ ! -e /proc/$pid ] && echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid; then
            decoy 12345
            decoys=$((decoys + 1))
        fi
    done
    touch told/over
    wait $nix
    touch told/end
    cat failed
    echo "stopping=$stopping failed=$(wc -l < failed) woken=$(wc -l < told/woken)" \
        "without=$((decoys - $(wc -l < told/decoys)))"
"#;

/// Rounds in one run: a run is given two minutes.
const AT_ONCE: u32 = 20;

fn check_end(nix: &RealNix, first: &str, end: &str) {
    let mut left = rounds();
    while left > 0 {
        let now = left.min(AT_ONCE);
        left -= now;
        let script = format!("first='{first}' end_it='{end}' rounds={now}\n{ENDED}");
        let Some(said) = said(nix, &script) else { return };
        for round in 1..=now {
            assert!(said.contains(&format!("round {round}: 0 are stopped")), "{end}: {said}");
        }
        let all = format!("stopping={now} failed=0 woken=0 without=0");
        assert!(said.contains(&all), "{end}: {said}");
        let after = said.lines().filter_map(|line| line.split_once("are stopped, after "));
        let longest = after.filter_map(|(_, rest)| rest.split(' ').next()?.parse::<u32>().ok());
        let longest = longest.max().expect("rounds");
        tell(&format!("Nix {}: {end}: {now} rounds, {longest} ms at most", nix.version));
    }
}

#[test]
fn killed_or_told_to_end_nothing_stays_stopped() {
    let ends = [
        "kill -KILL $guard",
        "kill -KILL $worker",
        "kill -TERM $guard",
        "kill -KILL $guard $worker; ./monitor guard --thaw",
    ];
    let nixes = real_nix();
    for (end, nix) in ends.iter().zip(nixes.iter().cycle()) {
        check_end(nix, ":", end);
    }
}

#[test]
fn stopped_itself_nothing_stays_stopped() {
    let ends = [
        "kill -STOP $worker",
        "kill -STOP $guard",
        // Root sees all of it, whatever is hidden from others.
        "mount -o remount,hidepid=2 /proc; kill -KILL $guard",
    ];
    let nixes = real_nix();
    for (end, nix) in ends.iter().zip(nixes.iter().rev().cycle()) {
        check_end(nix, ":", end);
    }
}

#[test]
fn on_a_full_disk_nothing_stays_stopped() {
    let Some(nix) = real_nix().pop() else { return };
    let small = "mount -t tmpfs -o size=64k none run";
    check_end(&nix, small, "cat /dev/zero > run/full 2> /dev/null || true; kill -KILL $guard");
}

#[test]
fn what_cannot_be_written_down_is_not_stopped() {
    let script = r#"
        names=$(seq -f 'tiny%g' 6)
        one() { memory "$name-1.0" 2 1 1; }
        graph one
        costs 400
        confine 600
        guarded_daemon
        mount -t tmpfs -o size=64k none run
        ./monitor guard --costs costs.json 2> guard.log &
        until_there run/guard.json
        cat /dev/zero > run/full 2> /dev/null || true
        nix-build --no-out-link graph.nix > built 2> errors & nix=$!
        most=0
        while [ -e /proc/$nix ]; do
            now=$(stopped)
            [ $now -le $most ] || most=$now
            sleep 0.02
        done
        wait $nix
        rm run/full
        echo "built=$(wc -l < built) most=$most"
        cat guard.log
    "#;
    for nix in real_nix().into_iter().take(1) {
        let Some(said) = said(&nix, script) else { return };
        assert!(said.contains("built=6 most=0"), "{said}");
        assert!(said.contains("guard: nothing is stopped: "), "{said}");
    }
}

/// A user whom no machine has.
const USER: u32 = 54_321;

/// A signal to stop comes late to one that waits in the kernel: here for its
/// child to begin, which waits for a file.
#[test]
fn a_stop_that_has_not_come_is_taken_back() {
    if !is_root() {
        skip("only root may be another user");
        return;
    }
    if !has(&["python3", "setpriv"]) {
        return;
    }
    let folder = tempfile::tempdir_in("/tmp").expect("folder");
    let fifo = folder.path().join("fifo");
    let made = Command::new("mkfifo").args(["-m", "0666"]).arg(&fifo).status();
    assert!(made.expect("mkfifo runs").success());
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("permissions");
    let script = format!(
        "import os; os.waitpid(os.posix_spawn('/bin/true', ['true'], {{}}, \
         file_actions=[(os.POSIX_SPAWN_OPEN, 0, {fifo:?}, os.O_RDONLY, 0)]), 0)"
    );
    let user = USER.to_string();
    let mut child = Command::new("setpriv")
        // Where that user may go.
        .env("PATH", "/usr/bin:/bin")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups", "python3", "-c", &script])
        .spawn()
        .expect("it starts");
    let state = || Proc::live().process(child.id()).map(|process| process.state);
    wait_for(|| state() == Some('D'));
    let mut stopper = Stopper::live();
    let build = Stopped { user: USER, group: None };
    stopper.stop(&build);
    stopper.go(&build);
    std::fs::write(&fifo, "").expect("written");
    wait_for(|| state() == Some('Z') || state() == Some('T'));
    let ended = state();
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(ended, Some('Z'), "it was left stopped");
}

fn wait_for(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "it takes too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}
