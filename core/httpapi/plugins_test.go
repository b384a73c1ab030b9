package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

func (b *bundle) registerWith(plugins ...api.Plugin) (token string, a answer) {
	b.t.Helper()
	body, err := json.Marshal(api.Register{Name: "with-plugins", Tags: []string{"shell"}, Plugins: plugins})
	require.NoError(b.t, err)
	a = b.do(call{method: "POST", path: "/worker/register", token: workerToken, body: string(body)})
	var registered api.Registered
	require.NoError(b.t, json.Unmarshal(a.body, &registered))
	return registered.Token, a
}

func shellPlugin(state string) api.Plugin {
	return api.Plugin{Kind: "runner", Name: "shell", Version: "1", State: state, ActionTypes: []api.ActionType{
		{Name: "shell", Runner: "local", Tag: "shell", Workspace: "host_dir", SpecSchema: json.RawMessage(`{"type": "object"}`)},
	}}
}

func TestActionTypes(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	find := func(name, runner string) (found *api.OfferedActionType) {
		for _, offered := range into[[]api.OfferedActionType](t, b.get("/api/action-types")) {
			if offered.Name == name && offered.Runner == runner {
				require.Nil(t, found, "listed twice")
				found = &offered
			}
		}
		return found
	}
	local := find("shell", "local")
	require.True(t, local.Builtin)
	require.Equal(t, "shell", local.Tag)
	require.Contains(t, string(local.Schema), `"cmd"`, "ours are known before any worker is")
	require.Zero(t, local.Workers)
	require.Equal(t, "kubernetes", find("pod", "").Tag)
	require.Empty(t, find("task", "").Tag)
	require.Nil(t, find("acme.deploy", ""))

	plugin := api.Plugin{Kind: "runner", Name: "acme.tools", Version: "2.1", State: "ready", ActionTypes: []api.ActionType{
		{Name: "acme.deploy", Tag: "acme", Attachable: true, SpecSchema: json.RawMessage(`{"type": "object", "x-acme": 1}`)},
	}}
	token, _ := b.registerWith(shellPlugin("ready"), plugin)
	local = find("shell", "local")
	require.Equal(t, 1, local.Workers)
	require.Equal(t, []string{"shell", "1", "host_dir"}, []string{local.Plugin, local.Version, local.Workspace})
	require.Contains(t, string(local.Schema), `"cmd"`, "and stay as we know them")
	require.Equal(t, &api.OfferedActionType{
		Name: "acme.deploy", Tag: "acme", Vendor: "acme", Attachable: true, Plugin: "acme.tools", Version: "2.1", Workers: 1,
		Schema: json.RawMessage(`{"type":"object","x-acme":1}`),
	}, find("acme.deploy", ""))

	plugin.State, plugin.LastError, plugin.Version = "unhealthy", "no licence", "2.2"
	body, err := json.Marshal(api.Heartbeat{Tags: []string{"other"}, Plugins: []api.Plugin{plugin}})
	require.NoError(t, err)
	into[api.Status](t, b.do(call{method: "POST", path: "/worker/heartbeat", token: token, body: string(body)}))
	require.Zero(t, find("shell", "local").Workers)
	deploy := find("acme.deploy", "")
	require.Zero(t, deploy.Workers, "it is not offered as long as it does not work")
	require.Equal(t, "2.2", deploy.Version)
	worker := into[[]api.Worker](t, b.get("/api/workers"))[0]
	require.Equal(t, []string{"other"}, worker.Tags)
	detail := into[api.WorkerDetail](t, b.get("/api/workers/"+worker.WorkerID))
	require.Len(t, detail.Plugins, 1)
	require.Equal(t, "no licence", detail.Plugins[0].LastError)
	require.Empty(t, detail.Plugins[0].ActionTypes[0].SpecSchema, "schemas are told once, with the types")
}

// What a plugin's host lets through, the server takes: or a plugin would keep its worker from working.
func TestTheLargestDescriptionIsTaken(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	plugin := api.Plugin{Kind: "runner", Name: "acme.tools", State: "ready"}
	tags := []string{"label"}
	for i := range 1000 {
		name := fmt.Sprintf("acme.type-%d", i)
		plugin.ActionTypes = append(plugin.ActionTypes, api.ActionType{Name: name, Tag: fmt.Sprintf("acme-%d", i)})
		tags = append(tags, name, plugin.ActionTypes[i].Tag)
	}
	plugin.ActionTypes[0].SpecSchema = json.RawMessage(`"` + strings.Repeat("x", 256<<10-2) + `"`)
	body, err := json.Marshal(api.Register{Name: "w", Tags: tags, Plugins: []api.Plugin{plugin}})
	require.NoError(t, err)
	into[api.Registered](t, b.do(call{method: "POST", path: "/worker/register", token: workerToken, body: string(body)}))
}

func TestPluginDescriptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	with := func(t api.ActionType) api.Plugin {
		return api.Plugin{Name: "acme.tools", State: "ready", ActionTypes: []api.ActionType{t}}
	}
	for text, plugin := range map[string]api.Plugin{
		"it needs a name":        {State: "ready"},
		"vendor.name":            with(api.ActionType{Name: "../deploy", Tag: "x"}),
		"in lower case":          with(api.ActionType{Name: "Acme.Deploy", Tag: "x"}),
		"have no variants":       with(api.ActionType{Name: "acme.deploy", Runner: "pod", Tag: "x"}),
		"no name for its runner": with(api.ActionType{Name: "shell", Runner: "a/b", Tag: "x"}),
		"its tag has to have":    with(api.ActionType{Name: "acme.deploy"}),
		"its schema has to be": with(api.ActionType{
			Name: "acme.deploy", Tag: "x", SpecSchema: json.RawMessage(`"` + strings.Repeat("x", 256<<10) + `"`),
		}),
		"no text of it may exceed": {Name: "acme.tools", LastError: strings.Repeat("x", 5000)},
	} {
		_, a := b.registerWith(plugin)
		requireError(t, a, http.StatusBadRequest, text)
	}
	_, a := b.registerWith(make([]api.Plugin, 101)...)
	requireError(t, a, http.StatusBadRequest, "more than 100 plugins")
	require.Empty(t, into[[]api.Worker](t, b.get("/api/workers")), "nothing was stored")
}
