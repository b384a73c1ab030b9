package main

import (
	"strings"
)

// Places in the container.
const (
	ownDir       = "/stroem"
	workspaceDir = "/workspace"
	startupDir   = "/etc/stroem/startup.d"
)

// The launcher runs the command as its child and waits for it, so that it is there when the step is told to stop: then it tells
// everything else in the container, and waits until all of that has ended. A shell that is told to stop would end at
// once and take with it what it had started. It says how the command ended, whatever happened, but that a command which was
// told to stop has not succeeded: an engine that is restarted tells nobody else of it. What shells say of killed children at wait
// is not the step's.
const (
	launcherStartup = `set -e
for file in ` + startupDir + `/*.sh; do
  if [ -f "$file" ]; then . "$file"; fi
done
set +e
`
	launcherStop = `stop() {
  trap '' TERM INT HUP
  kill -TERM -1 2>/dev/null
  wait $child 2>/dev/null
  code=$?
  [ $code != 0 ] || code=143
  while kill -0 -1 2>/dev/null; do sleep 0.1 2>/dev/null || sleep 1 || break; done
  exit $code
}
child=
trap stop TERM INT HUP
`
	launcherWait = `child=$!
wait $child 2>/dev/null
exit $?
`
)

// launcher returns the text of /stroem/start. It is for sh of any kind.
func (s *spec) launcher(actionType string) string {
	var b strings.Builder
	if actionType == typeShell {
		b.WriteString(launcherStartup)
		dir := workspaceDir
		if s.Workdir != "" {
			dir += "/" + s.Workdir
		}
		b.WriteString("cd " + quote(dir) + " || exit\n")
	}
	b.WriteString(launcherStop)
	script := quote(workspaceDir + "/" + s.Script)
	switch {
	case s.Cmd != "":
		b.WriteString("sh " + ownDir + "/cmd &\n")
	default:
		b.WriteString("if [ -x " + script + " ]; then " + script + " & else sh " + script + " & fi\n")
	}
	b.WriteString(launcherWait)
	return b.String()
}

// quote makes one word of sh of a text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
