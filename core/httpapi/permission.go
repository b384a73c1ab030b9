package httpapi

import "github.com/stroem/stroem/core"

// permission is who may call a route, and what it is about: the rules of access are asked about that.
type permission struct {
	who who
	of  scope
}

// who are those that a route is for.
type who string

const (
	anybody     who = "anybody"
	signedIn    who = "a user"
	session     who = "a user with an access token" // an API key cannot manage keys
	viewer      who = who(core.RoleViewer)
	watcher     who = "a viewer, or whoever has a ticket of theirs"
	operator    who = who(core.RoleOperator)
	admin       who = who(core.RoleAdmin)
	sharedToken who = "the worker token" // whoever holds one
	worker      who = "a worker"         // a registered one
	replica     who = "another replica"
	files       who = "a worker or a container with a workspace token"
)

// scope is what of a route's path the rules of access are asked about.
type scope string

const (
	ofAll       scope = ""          // lists: the handler leaves out what is hidden
	ofWorkspace scope = "workspace" // :ws
	ofTask      scope = "task"      // :ws and :name
	ofTrigger   scope = "trigger"   // :ws and :name: asked about the task that it starts
	ofJob       scope = "job"       // :id
)

// Kinds of routes.
var (
	public       = permission{who: anybody}
	administers  = permission{who: admin}
	own          = permission{who: signedIn} // what is the user's own
	ownSecrets   = permission{who: session}
	forRegister  = permission{who: sharedToken}
	forWorker    = permission{who: worker}
	forReplica   = permission{who: replica}
	forContainer = permission{who: files}
)

func sees(of scope) permission { return permission{viewer, of} }

func runs(of scope) permission { return permission{operator, of} }

// watches is sees for whoever cannot send a header.
func watches(of scope) permission { return permission{watcher, of} }
