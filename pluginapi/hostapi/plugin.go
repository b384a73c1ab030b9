package hostapi

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

// Plugin is a plugin at the other end of a connection, of whatever kind. It is a [pluginapi.Validator] as well; for a
// plugin that has nothing to validate, Validate finds no problems.
type Plugin struct {
	label label
	rpc   pluginv1.PluginServiceClient
}

// NewPlugin returns the plugin at the other end of conn. All its errors are [*pluginapi.Error] and begin with label,
// such as "runner(docker)".
func NewPlugin(conn grpc.ClientConnInterface, name string) *Plugin {
	return &Plugin{label: label(name), rpc: pluginv1.NewPluginServiceClient(conn)}
}

// Describe implements [pluginapi.Plugin].
func (p *Plugin) Describe(ctx context.Context) (*pluginapi.Description, error) {
	resp, err := p.rpc.Describe(ctx, &pluginv1.DescribeRequest{})
	if err != nil {
		return nil, p.label.fail(err)
	}
	d := &pluginapi.Description{
		Kind: pluginapi.Kind(resp.GetKind()), Name: resp.GetName(), Version: resp.GetVersion(),
		ConfigSchema: resp.GetConfigSchema(), SettingsSchema: resp.GetSettingsSchema(),
	}
	for _, t := range resp.GetActionTypes() {
		d.ActionTypes = append(d.ActionTypes, pluginapi.ActionType{
			Name: t.GetName(), Runner: t.GetRunner(), Tag: t.GetTag(), SpecSchema: t.GetSpecSchema(),
			Workspace: workspaceMode(t.GetWorkspace()), Attachable: t.GetAttachable(),
			Examples: pluginapi.Examples{
				Succeed: t.GetExamples().GetSucceed(), Fail: t.GetExamples().GetFail(), Long: t.GetExamples().GetLong(),
				Large: t.GetExamples().GetLarge(), Stubborn: t.GetExamples().GetStubborn(), Killed: t.GetExamples().GetKilled(),
				Unterminated: t.GetExamples().GetUnterminated(), Endless: t.GetExamples().GetEndless(),
			},
		})
	}
	return d, nil
}

func workspaceMode(mode pluginv1.WorkspaceMode) pluginapi.WorkspaceMode {
	switch mode {
	case pluginv1.WorkspaceMode_WORKSPACE_MODE_HOST_DIR:
		return pluginapi.WorkspaceHostDir
	case pluginv1.WorkspaceMode_WORKSPACE_MODE_DOWNLOAD:
		return pluginapi.WorkspaceDownload
	default:
		return pluginapi.WorkspaceNone
	}
}

// Configure implements [pluginapi.Plugin]. Where the plugin named problems, [errors.AsType] finds the
// [pluginapi.Diagnostics].
func (p *Plugin) Configure(ctx context.Context, cfg *pluginapi.Config) error {
	_, err := p.rpc.Configure(ctx, &pluginv1.ConfigureRequest{Settings: cfg.Settings, DataDir: cfg.DataDir})
	return p.label.fail(err)
}

// CheckHealth implements [pluginapi.Plugin]. A plugin that hangs does not answer: the caller's context needs a deadline.
func (p *Plugin) CheckHealth(ctx context.Context) (*pluginapi.Health, error) {
	resp, err := p.rpc.CheckHealth(ctx, &pluginv1.CheckHealthRequest{})
	if err != nil {
		return nil, p.label.fail(err)
	}
	h := &pluginapi.Health{State: pluginapi.Unhealthy, Message: resp.GetMessage()}
	switch resp.GetState() {
	case pluginv1.HealthState_HEALTH_STATE_HEALTHY:
		h.State = pluginapi.Healthy
	case pluginv1.HealthState_HEALTH_STATE_UNAVAILABLE:
		h.State = pluginapi.Unavailable
	}
	return h, nil
}

// Validate implements [pluginapi.Validator].
func (p *Plugin) Validate(ctx context.Context, req *pluginapi.ValidateRequest) (pluginapi.Diagnostics, error) {
	resp, err := p.rpc.Validate(ctx, &pluginv1.ValidateRequest{Type: req.Type, Runner: req.Runner, Spec: req.Spec})
	if status.Code(err) == codes.Unimplemented {
		return nil, nil
	}
	if err != nil {
		return nil, p.label.fail(err)
	}
	return diagnostics(resp.GetDiagnostics()), nil
}
