# What runs on the node: one session, in a terminal of its own, whose end is written down.
#
#   job FOLDER                      the batch script's work: claim and surroundings; read by a
#                                   shell of the batch script's choice, as $script
#   sh job.sh main FOLDER RUN MASK  the same process in a fresh shell: terminal, end
#   sh job.sh pane FOLDER RUN MASK  inside the terminal: the program, and how it ended
#   sh job.sh off FOLDER RUN LOG WORDS  the end of a job that a set-up line brought about
#
# FOLDER lies on the shared file system: `intent` (who we are), `spec` (what it needs itself, as
# assignments), `env` (the program's surroundings, as lines of shell), `command` (the program),
# and what is written here: `claim`, `exit`. RUN is of this node alone, because sockets need a local file system and a short path.
# It leaves out every decision: what an end means is for whoever reads it.
[ "$1" = job ] && mask=$(umask) # The user's own, for the program.
umask 077
script=${script:-$0}
mode=$1 folder=$2
read -r nonce < "$folder/intent" || exit 72

# Whole or not at all, for readers on other hosts.
record() { # CODE WORDS
    printf '%s %s %s\n' "$nonce" "$1" "$2" > "$folder/exit.$$"
    sync "$folder/exit.$$" 2> /dev/null
    mv -f "$folder/exit.$$" "$folder/exit"
}

fail() { # CODE WORDS: an end before the program began
    trap - EXIT
    printf '[ilchul: %s]\n' "$2" >> "$log"
    rm -f "$run/life" && rmdir "$run" 2> /dev/null
    record "$1" "$2"
    exit "$1"
}

# A process and all below it, whatever session they moved to.
tree() {
    ps -e -o pid= -o ppid= | awk -v root="$1" '
        { below[$2] = below[$2] " " $1 }
        function walk(pid,  list, count, i) {
            print pid
            count = split(below[pid], list, " ")
            for (i = 1; i <= count; i++) walk(list[i])
        }
        END { walk(root) }'
}

# Stopped first, until nobody is new, so that nothing forks away between look and kill.
end_tree() {
    [ "${1:-0}" -gt 1 ] 2> /dev/null && kill -0 "$1" 2> /dev/null || return 0
    seen=
    for _ in 1 2 3 4 5; do
        now=$(tree "$1")
        [ "$now" = "$seen" ] && break
        kill -STOP $now 2> /dev/null
        seen=$now
    done
    kill -KILL $now 2> /dev/null
}

if [ "$mode" = pane ]; then
    run=$3 mask=$4
    # Caught, not ignored: what is ignored would be ignored by the program too.
    trap : HUP INT QUIT TERM
    echo "$$" > "$run/pane"
    # Where Slurm knows of no cgroups, a kill of the batch script alone leaves this running.
    (
        trap '' HUP INT QUIT TERM
        read -r _ < "$run/life"
        read -r program < "$run/pid" && end_tree "$program"
    ) > /dev/null 2>&1 &
    guard=$!
    (umask "$mask" && exec sh "$folder/command" "$run/pid")
    code=$?
    kill -KILL "$guard" 2> /dev/null
    record "$code" ''
    exit 0
fi

env_file() { # FILE: variables that nobody but its owner may read
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            '' | '#'*) ;;
            *=*) export "$line" ;;
            *) fail 73 "a line of \`$1\` isn't NAME=VALUE" ;;
        esac
    done < "$1" || fail 73 "\`$1\` can't be read on this node"
}
# The set-up lines are the user's, and so is the shell that reads them: whatever they name, set or
# redefine there, only the environment goes on. What is needed after them has names of its own.
step() { # LINE
    ilchul_line=$1
    eval "$1" || ilchul_off "the set-up line \`$ilchul_line\` failed"
}
ilchul_off() { # WORDS
    trap - EXIT
    exec /bin/sh "$ilchul_script" off "$ilchul_folder" "$ilchul_run" "$ilchul_log" "$1"
}

if [ "$mode" = off ]; then
    run=$3 log=$4
    fail 73 "$5"
fi
if [ "$mode" = job ]; then
    # One life for each attempt: whoever comes second ends, whatever Slurm knows of the first.
    run=$(mktemp -d /tmp/ilchul.XXXXXX) || exit 71
    mine=$folder/claim.$SLURM_JOB_ID.$$
    {
        echo "nonce=$nonce"
        echo "job=$SLURM_JOB_ID"
        echo "node=${SLURMD_NODENAME:-$(uname -n)}"
        echo "socket=$run/t.sock"
        echo "restarts=${SLURM_RESTART_COUNT:-0}"
    } > "$mine" || exit 71
    sync "$mine" 2> /dev/null
    # Over NFS a link may be made although the answer says no.
    if ! ln "$mine" "$folder/claim" 2> /dev/null && ! [ "$mine" -ef "$folder/claim" ]; then
        echo "another job has begun this attempt, or it was called off: $(tr '\n' ' ' < "$folder/claim")"
        rm -f "$mine"
        rmdir "$run"
        exit 79
    fi
    rm -f "$mine"
    # Whoever ends the work in time counts from here, and not by a clock that may be set. Slurm's
    # own warning is announced by a file, because a TERM alone doesn't say what it is for.
    read -r ILCHUL_JOB_BEGAN _ < /proc/uptime
    export ILCHUL_JOB_BEGAN ILCHUL_WALL_SIGN="$run/wall"
    . "$folder/spec"
    ilchul_script=$script ilchul_folder=$folder ilchul_run=$run ilchul_mask=$mask ilchul_log=$log
    trap 'ilchul_off "the set-up line \`$ilchul_line\` ended its shell"' EXIT
    . "$folder/env"
    exec /bin/sh "$ilchul_script" main "$ilchul_folder" "$ilchul_run" "$ilchul_mask"
fi

run=$3 mask=$4
. "$folder/spec"
cd "$cwd" 2> /dev/null || fail 72 "its folder \`$cwd\` isn't there on ${SLURMD_NODENAME:-this node}"

asked=
trap 'asked=term' TERM
trap 'asked=wall' USR1
trap 'asked=kill' USR2
trap : HUP INT
mkfifo "$run/life" && exec 9<> "$run/life" || fail 71 "no pipe can be made in /tmp"

terminal() {
    tmux -N -S "$run/t.sock" new-session -d -s worker -n "$title" -x 200 -y 50 \
        sh "$script" pane "$folder" "$run" "$mask" "$@" \; set-option -s exit-empty on 2> /dev/null
}
quoted() { printf "'"; printf %s "$1" | sed "s/'/'\\\\''/g; s/#/##/g; s/%/%%/g"; printf "'"; }
# `-N` and `-D` came with 3.2. A version that can't be read is somebody's own build.
modern() {
    version=$(tmux -V 2> /dev/null) || return 1
    case ${version#tmux } in
        [0-2].* | 3.[01] | 3.[01][a-z]*) return 1 ;;
    esac
}
if modern; then
    # Not a daemon: a child of this job, found where Slurm looks for its processes.
    tmux -D -S "$run/t.sock" -f /dev/null 9>&- &
    root=$!
    tries=0
    until if [ "$capture" = 1 ]; then
        terminal \; pipe-pane -t worker: "cat >> $(quoted "$log")"
    else
        terminal
    fi; do
        tries=$((tries + 1))
        kill -0 "$root" 2> /dev/null || break
        [ "$tries" -lt 200 ] || { kill "$root"; fail 71 'no terminal could be made by tmux'; }
        sleep 0.05
    done
else
    [ -z "$version" ] || printf '[ilchul: %s on this node is too old: there is no terminal]\n' "$version" >> "$log"
    sh "$script" pane "$folder" "$run" "$mask" >> "$log" 2>&1 9>&- < /dev/null &
    root=$!
fi

lives() {
    kill -0 "$root" 2> /dev/null && return 0
    pane=$(cat "$run/pane" 2> /dev/null)
    [ -n "$pane" ] && kill -0 "$pane" 2> /dev/null
}
# Whoever can't reach this job through Slurm writes into its folder: a controller may have
# forgotten a job that runs on.
watch() {
    trap '' HUP INT QUIT TERM USR1 USR2
    told=
    while sleep "${watch:-5}" && kill -0 "$$" 2> /dev/null; do
        { read -r whose how < "$folder/stop"; } 2> /dev/null || continue
        [ "$whose" = "$nonce" ] && [ "$how" != "$told" ] || continue
        told=$how
        if [ "$how" = kill ]; then kill -USR2 "$$"; else kill -TERM "$$"; fi
    done
}
watch > /dev/null 2>&1 9>&- < /dev/null &
watcher=$!
words= timer=
while lives; do
    # What was asked before there was anybody to wait for isn't waited over.
    [ -n "$asked" ] || wait "$root"
    program=$(cat "$run/pid" 2> /dev/null)
    # Between the terminal's start and the program's there is nobody to ask yet.
    [ -z "$asked" ] || [ -n "$program" ] || { sleep 0.05; continue; }
    case $asked in
        term | wall)
            [ "$asked" = term ] || {
                words="its wall time is nearly over, so it was told to end"
                # Once, whoever of us tells it to end.
                [ -e "$run/wall" ] || tail -c 4096 "$log" 2> /dev/null | grep -qF "$words" ||
                    printf '[ilchul: %s]\n' "$words" >> "$log"
                : > "$run/wall"
            }
            asked=
            kill -TERM "$program" 2> /dev/null
            [ -n "$timer" ] || { { sleep "$grace"; kill -USR2 "$$"; } > /dev/null 2>&1 9>&- & timer=$!; }
            ;;
        kill)
            asked=
            end_tree "$program"
            ;;
        *)
            # The terminal is gone, and its program not yet.
            kill -0 "$root" 2> /dev/null || sleep 0.1
            ;;
    esac
done
[ -z "$timer" ] || kill "$timer" 2> /dev/null
kill -KILL "$watcher" 2> /dev/null
[ -s "$folder/exit" ] || record 137 'its whole tree was killed'
read -r _ code _ < "$folder/exit"
[ -z "$words" ] || record "$code" "$words"
rm -f "$run/t.sock" "$run/life" "$run/pid" "$run/pane" "$run/wall"
rmdir "$run" 2> /dev/null
exit "$code"
