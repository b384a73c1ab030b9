package main

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Places in the container.
const (
	workspaceDir = "/workspace"
	stroemDir    = "/stroem"
	startupDir   = "/etc/stroem/startup.d"
	cmdFile      = stroemDir + "/cmd"
	startFile    = stroemDir + "/start"
	inputFile    = stroemDir + "/input.json"
	scratchDir   = stroemDir + "/scratch"
	initDir      = "/stroem-init"
)

// The launcher runs the command as its child and waits for it, so that it is there when the step is told to stop: then it tells
// everything else, and waits until all of that has ended. A shell that is told to stop would end at once, and Kubernetes would
// kill what it had started. It is process 1, to which signals mean nothing but what it says, and takes in what others leave. The
// signal is the one that the image asks for. A command that was told to stop has not succeeded.
const (
	stopSignals     = "TERM INT HUP QUIT USR1 USR2 WINCH"
	launcherStartup = `trap 'exit 143' ` + stopSignals + `
set -e
for stroem_startup in ` + startupDir + `/*.sh; do
	if [ -f "$stroem_startup" ]; then . "$stroem_startup"; fi
done
unset stroem_startup
set +e
`
	launcherStop = `stop() {
	trap '' ` + stopSignals + `
	kill -TERM -1 2>/dev/null
	wait $child 2>/dev/null
	code=$?
	[ $code != 0 ] || code=143
	while kill -0 -1 2>/dev/null; do sleep 0.1 2>/dev/null || sleep 1 || break; done
	exit $code
}
child=
trap stop ` + stopSignals + `
`
	launcherWait = `child=$!
wait $child 2>/dev/null
exit $?
`
)

// launcher is the text of /stroem/start. A shell action has start-up scripts and a workspace.
func (s *spec) launcher(actionType string) string {
	var b strings.Builder
	if actionType == typeShell {
		dir := workspaceDir
		if s.Workdir != "" {
			dir += "/" + s.Workdir
		}
		b.WriteString(launcherStartup + "cd " + quote(dir) + " || exit 1\n")
	}
	script := quote(workspaceDir + "/" + s.Script)
	if s.Cmd == "" {
		b.WriteString("if [ ! -f " + script + " ]; then\n\techo " + quote("script "+s.Script+" does not exist in the workspace") +
			" >&2\n\texit 127\nfi\n")
	}
	b.WriteString(launcherStop)
	if s.Cmd != "" {
		b.WriteString("sh " + cmdFile + " &\n")
	} else {
		b.WriteString("if [ -x " + script + " ]; then " + script + " & else sh " + script + " & fi\n")
	}
	b.WriteString(launcherWait)
	return b.String()
}

// quote makes one word of sh.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// literal keeps Kubernetes from expanding what the user wrote for somebody else: $(NAME), and $$ for $.
func literal(words []string) []string {
	escaped := make([]string, len(words))
	for i, word := range words {
		escaped[i] = strings.ReplaceAll(word, "$", "$$")
	}
	return escaped
}

// commandVariable holds cmd where it has to be an argument: Kubernetes puts it in from the Secret.
const commandVariable = "STROEM_CMD"

// launches tells whether the launcher runs the step: a shell action, and an image of which nothing but a command is told.
func (s *spec) launches(actionType string) bool {
	return actionType == typeShell || s.Cmd != "" && len(s.Entrypoint) == 0 && len(s.Command) == 0
}

// launch sets what the container of the step executes.
func (s *spec) launch(actionType string, c *corev1.Container) {
	switch {
	case s.launches(actionType):
		c.Command = []string{"sh", startFile}
	case len(s.Command) > 0:
		c.Command, c.Args = literal(s.Entrypoint), literal(s.Command)
	case s.Cmd != "" && len(s.Entrypoint) > 0:
		c.Command, c.Args = literal(s.Entrypoint), []string{"$(" + commandVariable + ")"}
	default:
		c.Command = literal(s.Entrypoint)
	}
}

// unpack is what workspace-init does. Neither address nor token is an argument, and what goes wrong with either program is
// told. A server may be started anew in the middle of an archive: what breaks off is begun again.
const unpack = `left=5
while :; do
	code=$({ { curl --config ` + initDir + `/curl; echo $? >&3; } | tar -xzf - -C ` + workspaceDir + ` >&2 || echo tar >&3; } 3>&1)
	[ "$code" != 0 ] || break
	left=$((left - 1))
	case $code in 18* | 28* | 52* | 55* | 56* | 92*) ;; *) left=0 ;; esac
	if [ $left = 0 ]; then
		echo "the workspace could not be downloaded and unpacked (curl ended with" $code")" >&2
		exit 1
	fi
	sleep 1
	rm -rf ` + workspaceDir + `/* ` + workspaceDir + `/.[!.]* ` + workspaceDir + `/..?*
done
`

// writable lets the step write to what another user may have unpacked.
const writable = "chmod -R a+rwX " + workspaceDir + "\n"

// curlConfig is the configuration of curl: what to download, and how to prove that one may.
func curlConfig(url, token string, ca bool) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace
	text := "fail\nsilent\nshow-error\nconnect-timeout = 10\nretry = 10\nretry-max-time = 60\nretry-connrefused\nspeed-limit = 1\nspeed-time = 60\n" +
		"url = \"" + escape(url) + "\"\n"
	if token != "" {
		text += "header = \"Authorization: Bearer " + escape(token) + "\"\n"
	}
	if ca {
		text += "cacert = \"" + initDir + "/ca.pem\"\n"
	}
	return text
}
