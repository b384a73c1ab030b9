#!/bin/bash
# Sources the start-up scripts in the order of their names and becomes the command. The first script that fails ends the
# container with its code. One argument is the text of a command, several are a program and its arguments:
#
#     docker run IMAGE 'echo $HOME'        docker run IMAGE sh -c 'echo $HOME'
set -e

# Scripts may use the positional parameters themselves.
stroem_command=("$@")
set --
for stroem_script in /etc/stroem/startup.d/*.sh; do
	[ -e "$stroem_script" ] || continue # there is none
	. "$stroem_script"
done

[ ${#stroem_command[@]} != 1 ] || stroem_command=(bash -c "${stroem_command[0]}")
exec "${stroem_command[@]}"
