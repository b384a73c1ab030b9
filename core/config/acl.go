package config

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What an [ACLRule] allows.
const (
	AllowNone = "none"
	AllowView = "view"
	AllowRun  = "run"
)

// ACLRule narrows what users may do with tasks. In globs * is any run of characters, and ? is one.
type ACLRule struct {
	Workspace string   `yaml:"workspace"` // a glob
	Tasks     []string `yaml:"tasks"`     // globs; nil: all tasks
	Groups    []string `yaml:"groups"`    // whoever is in one of them
	Users     []string `yaml:"users"`     // whoever has one of these e-mails; neither this nor Groups: everybody
	Allow     string   `yaml:"allow"`     // view, run, none
}

// How many rules there may be, and names in each, and how long a glob: a list of jobs asks the database for all of them.
const (
	maxACLRules = 500
	maxACLNames = 50
	maxGlob     = 200
)

func (c *Server) validateACL(p *problems) {
	if c.ACL != nil && c.Auth == nil {
		p.add("acl", "needs an auth section: without one there are no users whom the rules could be for")
	}
	p.atMost("acl", len(c.ACL), maxACLRules)
	for i := range c.ACL {
		c.ACL[i].validate(p, "acl."+strconv.Itoa(i))
	}
}

func (r *ACLRule) validate(p *problems, key string) {
	if r.Workspace == "" {
		p.add(key+".workspace", "is required: a name, or a glob such as prod-* or *")
	} else {
		p.glob(key+".workspace", r.Workspace)
	}
	if r.Allow == "" {
		p.add(key+".allow", "is required: view, run or none")
	}
	p.oneOf(key+".allow", r.Allow, AllowView, AllowRun, AllowNone)
	p.names(key+".tasks", r.Tasks, "all tasks")
	p.names(key+".groups", r.Groups, "everybody")
	p.names(key+".users", r.Users, "everybody")
	for i, glob := range r.Tasks {
		p.glob(key+".tasks."+strconv.Itoa(i), glob)
	}
	for i, group := range r.Groups {
		if group == "" {
			p.add(key+".groups."+strconv.Itoa(i), "is empty")
		}
	}
	for i, email := range r.Users {
		if !strings.Contains(email, "@") {
			p.add(key+".users."+strconv.Itoa(i), "%q is not an e-mail address", email)
		}
	}
}

// names refuses a list that is there and empty: it would mean the opposite of what it looks like.
func (p *problems) names(key string, list []string, absent string) {
	if list != nil && len(list) == 0 {
		p.add(key, "is empty; leave the key out for %s", absent)
	}
	p.atMost(key, len(list), maxACLNames)
}

func (p *problems) atMost(key string, n, most int) {
	if n > most {
		p.add(key, "has %d entries, and may have %d", n, most)
	}
}

func (p *problems) glob(key, glob string) {
	switch {
	case glob == "":
		p.add(key, "is empty; * stands for all")
	case utf8.RuneCountInString(glob) > maxGlob:
		p.add(key, "has more than %d characters", maxGlob)
	case strings.ContainsFunc(glob, unicode.IsControl) || !utf8.ValidString(glob):
		p.add(key, "%q has characters that no name has", glob)
	}
}
