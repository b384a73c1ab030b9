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

// launcher is the text of /stroem/start: it sources the start-up scripts and becomes the step.
func (s *spec) launcher() string {
	var b strings.Builder
	b.WriteString("set -e\nfor stroem_startup in " + startupDir + "/*.sh; do\n" +
		"\tif [ -f \"$stroem_startup\" ]; then . \"$stroem_startup\"; fi\ndone\nunset stroem_startup\nset +e\n")
	dir := workspaceDir
	if s.Workdir != "" {
		dir += "/" + s.Workdir
	}
	b.WriteString("cd " + quote(dir) + " || exit 1\n")
	if s.Cmd != "" {
		b.WriteString("exec sh " + cmdFile + "\n")
		return b.String()
	}
	script := quote(workspaceDir + "/" + s.Script)
	b.WriteString("if [ ! -f " + script + " ]; then\n\techo " + quote("script "+s.Script+" does not exist in the workspace") +
		" >&2\n\texit 127\nfi\nif [ -x " + script + " ]; then exec " + script + "; fi\nexec sh " + script + "\n")
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

// launch sets what the container of the step executes. It tells whether that is a shell of ours.
func (s *spec) launch(actionType string, c *corev1.Container) (shell bool) {
	switch {
	case actionType == typeShell:
		c.Command = []string{"sh", startFile}
		return true
	case len(s.Command) > 0:
		c.Command, c.Args = literal(s.Entrypoint), literal(s.Command)
	case s.Cmd != "" && len(s.Entrypoint) > 0:
		c.Command, c.Args = literal(s.Entrypoint), []string{"$(" + commandVariable + ")"}
	case s.Cmd != "":
		c.Command = []string{"sh", cmdFile}
		return true
	default:
		c.Command = literal(s.Entrypoint)
	}
	return false
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
