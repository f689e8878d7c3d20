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
# and what is written here: `claim`, `exit`. RUN is of this node alone, because sockets need a
# local file system and a short path.
# It leaves out every decision: what an end means is for whoever reads it.
#
# Its variables begin with `il_`: an exported name that a shell assigns to goes on to the program.
if [ "$1" = job ]; then
    il_mask=$(umask) # The user's own, for the program.
    unset SLURM_SACK_SOCKET # That of the submit's host.
fi
umask 077
il_script=${il_script:-$0}
il_mode=$1 il_folder=$2
# What it is asked, from now on, is kept until there is somebody to ask.
hear() {
    il_asked=
    trap 'il_asked=term' TERM
    trap 'il_asked=wall' USR1
    trap 'il_asked=kill' USR2
    trap : HUP INT
}
[ "$il_mode" != main ] || hear
read -r il_nonce < "$il_folder/intent" || exit 72

# The name under which the claim of a job with this RUN is written. A process's number isn't enough:
# a job that is started again may get the same one, and would write over the claim itself.
mine() {
    il_mine=$il_folder/claim.${SLURM_JOB_ID:-}.${il_run##*/}
}

# Whole or not at all, for readers on other hosts.
record() { # CODE WORDS
    printf '%s %s %s\n' "$il_nonce" "$1" "$2" > "$il_folder/exit.$$"
    sync "$il_folder/exit.$$" 2> /dev/null
    mv -f "$il_folder/exit.$$" "$il_folder/exit"
}

# By one program where `rm` knows `-d`, which not every node's does.
tidy() {
    mine
    set -- "$il_run/t.sock" "$il_run/life" "$il_run/pid" "$il_run/pane" "$il_run/wall" "$il_run/said" "$il_mine"
    rm -fd "$@" "$il_run" 2> /dev/null || { rm -f "$@"; rmdir "$il_run" 2> /dev/null; }
}

fail() { # CODE WORDS: an end before the program began
    trap - EXIT
    printf '[ilchul: %s]\n' "$2" >> "$il_log"
    # A terminal may have come after all; nothing may go on once this is written down.
    if { read -r il_pane < "$il_run/pane"; } 2> /dev/null; then end_tree "$il_pane"; fi
    tidy
    record "$1" "$2"
    exit "$1"
}

# A process and all below it, whatever session they moved to.
tree() {
    ps -e -o pid= -o ppid= | awk -v top="$1" '
        { below[$2] = below[$2] " " $1 }
        function walk(pid,  list, count, i) {
            print pid
            count = split(below[pid], list, " ")
            for (i = 1; i <= count; i++) walk(list[i])
        }
        END { walk(top) }'
}

# Stopped first, until nobody is new, so that nothing forks away between look and kill.
end_tree() {
    [ "${1:-0}" -gt 1 ] 2> /dev/null && kill -0 "$1" 2> /dev/null || return 0
    il_seen=
    for _ in 1 2 3 4 5; do
        il_now=$(tree "$1")
        [ "$il_now" = "$il_seen" ] && break
        kill -STOP $il_now 2> /dev/null
        il_seen=$il_now
    done
    kill -KILL $il_now 2> /dev/null
}

if [ "$il_mode" = pane ]; then
    il_run=$3 il_mask=$4
    # Caught, not ignored: what is ignored would be ignored by the program too.
    trap : HUP INT QUIT TERM
    # Once: a job that gave up took its folder along, and a terminal may be asked for twice.
    set -C
    if ! echo "$$" > "$il_run/pane"; then
        [ ! -d "$il_run" ] || [ -s "$il_run/pane" ] || record 71 'nothing can be written in /tmp on this node'
        exit 71
    fi 2> /dev/null
    set +C
    # Where Slurm knows of no cgroups, a kill of the batch script alone leaves this running.
    (
        trap '' HUP INT QUIT TERM
        read -r _ < "$il_run/life"
        read -r il_program < "$il_run/pid" && end_tree "$il_program"
    ) > /dev/null 2>&1 &
    il_guard=$!
    # The program keeps the pid of this very process, which a shell tells of its children only.
    (
        umask "$il_mask"
        read -r il_program _ < /proc/self/stat
        echo "$il_program" > "$il_run/pid" || exit 71
        . "$il_folder/command"
    )
    il_code=$?
    # Some shells say who was killed, unless they are asked.
    { kill -KILL "$il_guard"; wait "$il_guard"; } 2> /dev/null
    record "$il_code" ''
    exit 0
fi

env_file() { # FILE: variables that nobody but its owner may read
    while IFS= read -r il_line || [ -n "$il_line" ]; do
        case $il_line in
            '' | '#'*) ;;
            *=*) export "$il_line" ;;
            *) fail 73 "a line of \`$1\` isn't NAME=VALUE" ;;
        esac
    done < "$1" || fail 73 "\`$1\` can't be read on this node"
}
# The set-up lines are the user's, and so is the shell that reads them: whatever they name, set or
# redefine there, only the environment goes on. What is needed after them has names of its own.
step() { # LINE
    ilchul_line=$1
    set --
    { printf '%s\n' "$ilchul_line" >| "$ilchul_folder/stage"; } 2> /dev/null || :
    # What ended the line may have been meant for the whole job, and be a moment behind.
    eval "$ilchul_line" || { sleep 0.3; ilchul_off "the set-up line \`$ilchul_line\` failed"; }
}
ilchul_off() { # WORDS [CODE]
    trap '' HUP INT TERM USR1 USR2
    trap - EXIT
    exec /bin/sh "$ilchul_script" off "$ilchul_folder" "$ilchul_run" "$ilchul_log" "$1" "${2:-73}"
}
ilchul_told() { # SIGNAL: the job is to end, whatever its line is at
    if [ "$1" = USR1 ]; then
        ilchul_how='its wall time was nearly over'
    elif [ "$1" = USR2 ] || { read -r ilchul_how _ < "$ilchul_folder/stop" && [ -n "$ilchul_how" ]; }; then
        ilchul_how='it was told to end by ilchul'
    else
        ilchul_how="its job was told to end from outside (SIG$1): by \`scancel\`, by preemption or by an administrator,"
    fi
    [ -z "$ilchul_line" ] || ilchul_how="$ilchul_how during the set-up line \`$ilchul_line\`"
    ilchul_off "${ilchul_how%,}" 143
}

ilchul_gone() { # its shell ends by itself
    # As above.
    sleep 0.3
    [ -n "$ilchul_line" ] || ilchul_off "its variables can't be set in this node's shell"
    ilchul_off "the set-up line \`$ilchul_line\` ended its shell"
}

if [ "$il_mode" = off ]; then
    il_run=$3 il_log=$4
    # What a line left in the background; nothing may go on once the end is written down.
    for il_pid in $(tree "$$"); do
        [ "$il_pid" = "$$" ] || kill -KILL "$il_pid"
    done 2> /dev/null
    fail "$6" "$5"
fi
if [ "$il_mode" = job ]; then
    # One life for each attempt: whoever comes second ends, whatever Slurm knows of the first.
    il_run=$(mktemp -d /tmp/ilchul.XXXXXX) || exit 71
    mine
    il_words="nonce=$il_nonce
job=$SLURM_JOB_ID
node=${SLURMD_NODENAME:-$(uname -n)}
socket=$il_run/t.sock
restarts=${SLURM_RESTART_COUNT:-0}"
    printf '%s\n' "$il_words" > "$il_mine" || { rmdir "$il_run"; exit 71; }
    sync "$il_mine" 2> /dev/null
    # Over NFS a link may be made although the answer says no. Its words tell, and not whether both
    # names are one file: to sshfs and its like they never are. One that can't be read isn't ours.
    if ! ln "$il_mine" "$il_folder/claim" 2> /dev/null &&
        [ "$(cat "$il_folder/claim" 2> /dev/null)" != "$il_words" ]; then
        echo "another job has begun this attempt, or it was called off: $(tr '\n' ' ' < "$il_folder/claim")"
        rm -f "$il_mine"
        rmdir "$il_run"
        exit 79
    fi
    # Whoever ends the work in time counts from here, and not by a clock that may be set. Slurm's
    # own warning is announced by a file, because a TERM alone doesn't say what it is for.
    read -r ILCHUL_JOB_BEGAN _ < /proc/uptime
    export ILCHUL_JOB_BEGAN ILCHUL_WALL_SIGN="$il_run/wall"
    . "$il_folder/spec"
    ilchul_script=$il_script ilchul_folder=$il_folder ilchul_run=$il_run ilchul_mask=$il_mask ilchul_log=$il_log
    # What set-up lines say stands where people look for what the worker said.
    [ ! -s "$il_folder/env" ] || exec >> "$il_log" 2>&1
    ilchul_line=
    trap ilchul_gone EXIT
    trap 'ilchul_told TERM' TERM
    trap 'ilchul_told USR1' USR1
    trap 'ilchul_told USR2' USR2
    . "$il_folder/env"
    # Where none of it was the user's own, this shell is as good as a fresh one.
    [ "${il_plain:-0}" = 1 ] ||
        exec /bin/sh "$ilchul_script" main "$ilchul_folder" "$ilchul_run" "$ilchul_mask"
    trap - EXIT
    hear
else
    il_run=$3 il_mask=$4
    . "$il_folder/spec"
fi
[ ! -s "$il_folder/stage" ] || : > "$il_folder/stage"
cd "$il_cwd" 2> /dev/null || fail 72 "its folder \`$il_cwd\` isn't there on ${SLURMD_NODENAME:-this node}"

# Slurm doesn't count what it suspends; set-up lines that took long may have been.
read -r il_now _ < /proc/uptime
if [ -n "${ILCHUL_WALL:-}" ] && [ -n "${ILCHUL_JOB_BEGAN:-}" ] && [ $((${il_now%.*} - ${ILCHUL_JOB_BEGAN%.*})) -ge 60 ]; then
    il_used=$(timeout 10 squeue -h -j "$SLURM_JOB_ID" -o %M 2> /dev/null |
        awk '/^[0-9:-]+$/ { n = split($0, t, /[-:]/); print t[n] + 60 * t[n-1] + 3600 * t[n-2] + 86400 * t[n-3] }')
    [ -z "$il_used" ] || ILCHUL_JOB_BEGAN=$((${il_now%.*} - il_used))
fi

# Not a daemon: a child of this job, found where Slurm looks for its processes. It needs a moment
# before it can be talked to, in which there is other work.
tmux -D -S "$il_run/t.sock" -f /dev/null 2> "$il_run/said" &
il_root=$!
mkfifo "$il_run/life" && exec 9<> "$il_run/life" || { kill "$il_root"; fail 71 "no pipe can be made in /tmp"; }

terminal() {
    tmux -N -S "$il_run/t.sock" new-session -d -s worker -n "$il_title" -x 200 -y 50 \
        /bin/sh "$il_script" pane "$il_folder" "$il_run" "$il_mask" "$@" \; set-option -s exit-empty on 2> /dev/null
}
quoted() { printf "'"; printf %s "$1" | sed "s/'/'\\\\''/g; s/#/##/g; s/%/%%/g"; printf "'"; }
# `-N` and `-D` came with 3.2. A version that can't be read is somebody's own build.
modern() {
    il_version=$(tmux -V 2> /dev/null) || return 1
    case ${il_version#tmux } in
        [0-2].* | 3.[01] | 3.[01][a-z]*) return 1 ;;
    esac
}
no_terminal() {
    il_said=
    { read -r il_said < "$il_run/said"; } 2> /dev/null
    fail 71 "no terminal could be made by tmux${il_said:+: $il_said}"
}
# Whoever can't reach this job through Slurm writes into its folder: a controller may have
# forgotten a job that runs on.
watch() {
    trap '' HUP INT QUIT TERM USR1 USR2
    il_told=
    while sleep "${il_watch:-5}" && kill -0 "$$" 2> /dev/null; do
        { read -r il_whose il_how < "$il_folder/stop"; } 2> /dev/null || continue
        [ "$il_whose" = "$il_nonce" ] && [ "$il_how" != "$il_told" ] || continue
        il_told=$il_how
        if [ "$il_how" = kill ]; then kill -USR2 "$$"; else kill -TERM "$$"; fi
    done
}
watch > /dev/null 2>&1 9>&- < /dev/null &
il_watcher=$!
il_tries=0
read -r il_now _ < /proc/uptime
il_until=$((${il_now%.*} + 60))
until [ -S "$il_run/t.sock" ] && if [ "$il_capture" = 1 ]; then
    terminal \; pipe-pane -t worker: "cat >> $(quoted "$il_log")"
else
    terminal
fi; do
    # It may be there all the same, without all that was to come with it, or have ended just now.
    [ ! -e "$il_run/pane" ] || { tmux -N -S "$il_run/t.sock" set-option -s exit-empty on 2> /dev/null; break; }
    read -r il_now _ < /proc/uptime
    [ "${il_now%.*}" -lt "$il_until" ] || { kill "$il_root"; no_terminal; }
    # Often at first, because most need a few milliseconds.
    il_tries=$((il_tries + 1))
    if [ "$il_tries" -lt 5 ]; then sleep 0.02; else sleep 0.05; fi
    kill -0 "$il_root" 2> /dev/null && continue
    [ ! -e "$il_run/pane" ] || break
    ! modern || no_terminal
    [ -z "$il_version" ] || printf '[ilchul: %s on this node is too old: there is no terminal]\n' "$il_version" >> "$il_log"
    /bin/sh "$il_script" pane "$il_folder" "$il_run" "$il_mask" >> "$il_log" 2>&1 9>&- < /dev/null &
    il_root=$!
    break
done

# Whether the end is written down, which is the last thing that happens in the terminal.
has_ended() {
    il_whose=
    { read -r il_whose il_code _ < "$il_folder/exit"; } 2> /dev/null
    [ "$il_whose" = "$il_nonce" ]
}
# A pid alone proves no life: who ended bears it until somebody looked, and where the terminal is
# gone that is for the node's first process.
lives() {
    kill -0 "$il_root" 2> /dev/null && return 0
    ! has_ended || return 1
    { read -r il_pane < "$il_run/pane" && read -r il_stat < "/proc/$il_pane/stat"; } 2> /dev/null || return 1
    case ${il_stat##*) } in [ZXx]*) return 1 ;; esac
}
il_words= il_timer=
while lives; do
    # What was asked before there was anybody to wait for isn't waited over.
    [ -n "$il_asked" ] || wait "$il_root"
    il_program=
    { read -r il_program < "$il_run/pid"; } 2> /dev/null
    # Between the terminal's start and the program's there is nobody to ask yet.
    [ -z "$il_asked" ] || [ -n "$il_program" ] || { sleep 0.05; continue; }
    case $il_asked in
        term | wall)
            [ "$il_asked" = term ] || {
                il_words="its wall time is nearly over, so it was told to end"
                # Once, whoever of us tells it to end.
                [ -e "$il_run/wall" ] || tail -c 4096 "$il_log" 2> /dev/null | grep -qF "$il_words" ||
                    printf '[ilchul: %s]\n' "$il_words" >> "$il_log"
                : > "$il_run/wall"
            }
            il_asked=
            kill -TERM "$il_program" 2> /dev/null
            [ -n "$il_timer" ] || { { sleep "$il_grace"; kill -USR2 "$$"; } > /dev/null 2>&1 9>&- & il_timer=$!; }
            ;;
        kill)
            il_asked=
            end_tree "$il_program"
            ;;
        *)
            # The terminal is gone, and its program not yet.
            kill -0 "$il_root" 2> /dev/null || ! lives || sleep 0.1
            ;;
    esac
done
[ -z "$il_timer" ] || kill "$il_timer" 2> /dev/null
{ kill -KILL "$il_watcher"; wait "$il_watcher"; } 2> /dev/null
has_ended || { il_code=137; record 137 'its whole tree was killed'; }
[ -z "$il_words" ] || record "$il_code" "$il_words"
tidy
exit "$il_code"
