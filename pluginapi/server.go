package pluginapi

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// NewServer returns a gRPC server for p without the handshake that [Serve] does. It is for tests and for hosts that
// have a plugin in their own process.
func NewServer(p Plugin, opts ...grpc.ServerOption) (*grpc.Server, error) {
	s, err := newServer(p)
	if err != nil {
		return nil, err
	}
	return s.grpcServer(opts), nil
}

// server is the plugin's end of the wire.
type server struct {
	pluginv1.UnimplementedPluginServiceServer
	plugin     Plugin
	kind       Kind
	register   func(grpc.ServiceRegistrar)
	runs       *runs
	configured atomic.Bool
	closeOnce  sync.Once
}

func newServer(p Plugin) (*server, error) {
	s := &server{plugin: p, runs: newRuns()}
	count := 0
	if runner, ok := p.(Runner); ok {
		count++
		s.kind = KindRunner
		s.register = func(r grpc.ServiceRegistrar) {
			pluginv1.RegisterRunnerServiceServer(r, &runnerServer{server: s, runner: runner})
		}
	}
	if source, ok := p.(Source); ok {
		count++
		s.kind = KindSource
		s.register = func(r grpc.ServiceRegistrar) {
			pluginv1.RegisterSourceServiceServer(r, &sourceServer{server: s, source: source})
		}
	}
	if store, ok := p.(LogStore); ok {
		count++
		s.kind = KindLogStore
		s.register = func(r grpc.ServiceRegistrar) {
			pluginv1.RegisterLogStoreServiceServer(r, &logStoreServer{server: s, store: store})
		}
	}
	if count != 1 {
		return nil, fmt.Errorf("%T is %d of Runner, Source and LogStore; a plugin has to be exactly one", p, count)
	}
	return s, nil
}

func (s *server) grpcServer(opts []grpc.ServerOption) *grpc.Server {
	opts = append(opts, grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.MaxSendMsgSize(wire.MaxMessage),
		grpc.ChainUnaryInterceptor(unaryStatus), grpc.ChainStreamInterceptor(streamStatus))
	g := grpc.NewServer(opts...)
	pluginv1.RegisterPluginServiceServer(g, s)
	s.register(g)
	return g
}

// ready refuses calls that have to wait for Configure.
func (s *server) ready() error {
	if !s.configured.Load() {
		return Errorf(CodePrecondition, "not configured yet")
	}
	return nil
}

func (s *server) Describe(ctx context.Context, _ *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	d, err := s.plugin.Describe(ctx)
	if err != nil {
		return nil, err
	}
	resp := &pluginv1.DescribeResponse{
		Kind: string(s.kind), Name: d.Name, Version: d.Version,
		ConfigSchema: d.ConfigSchema, SettingsSchema: d.SettingsSchema,
	}
	if resp.Version == "" {
		resp.Version = buildVersion()
	}
	for _, t := range d.ActionTypes {
		resp.ActionTypes = append(resp.ActionTypes, &pluginv1.ActionType{
			Name: t.Name, Runner: t.Runner, Tag: t.Tag, SpecSchema: t.SpecSchema,
			Workspace: workspaceModeToProto(t.Workspace), Attachable: t.Attachable,
			Examples: &pluginv1.Examples{
				Succeed: t.Examples.Succeed, Fail: t.Examples.Fail, Long: t.Examples.Long, Large: t.Examples.Large,
				Stubborn: t.Examples.Stubborn, Killed: t.Examples.Killed,
				Unterminated: t.Examples.Unterminated, Endless: t.Examples.Endless,
			},
		})
	}
	return resp, nil
}

func workspaceModeToProto(mode WorkspaceMode) pluginv1.WorkspaceMode {
	switch mode {
	case WorkspaceHostDir:
		return pluginv1.WorkspaceMode_WORKSPACE_MODE_HOST_DIR
	case WorkspaceDownload:
		return pluginv1.WorkspaceMode_WORKSPACE_MODE_DOWNLOAD
	default:
		return pluginv1.WorkspaceMode_WORKSPACE_MODE_UNSPECIFIED
	}
}

func (s *server) Configure(ctx context.Context, req *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	settings := json.RawMessage(req.GetSettings())
	if len(settings) == 0 {
		settings = json.RawMessage("{}")
	}
	if s.configured.Load() {
		return nil, Errorf(CodePrecondition, "configured already")
	}
	if err := s.plugin.Configure(ctx, &Config{Settings: settings, DataDir: req.GetDataDir()}); err != nil {
		return nil, err
	}
	s.configured.Store(true)
	return &pluginv1.ConfigureResponse{}, nil
}

func (s *server) CheckHealth(ctx context.Context, _ *pluginv1.CheckHealthRequest) (*pluginv1.CheckHealthResponse, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	h, err := s.plugin.CheckHealth(ctx)
	if err != nil {
		return nil, err
	}
	state := pluginv1.HealthState_HEALTH_STATE_UNHEALTHY
	switch h.State {
	case Healthy:
		state = pluginv1.HealthState_HEALTH_STATE_HEALTHY
	case Unavailable:
		state = pluginv1.HealthState_HEALTH_STATE_UNAVAILABLE
	case Unhealthy:
	}
	return &pluginv1.CheckHealthResponse{State: state, Message: h.Message}, nil
}

func (s *server) Validate(ctx context.Context, req *pluginv1.ValidateRequest) (*pluginv1.ValidateResponse, error) {
	validator, ok := s.plugin.(Validator)
	if !ok {
		return nil, Errorf(CodeUnimplemented, "nothing to validate beyond the schema")
	}
	problems, err := validator.Validate(ctx, &ValidateRequest{Type: req.GetType(), Runner: req.GetRunner(), Spec: req.GetSpec()})
	if err != nil {
		return nil, err
	}
	return &pluginv1.ValidateResponse{Diagnostics: diagnosticsToProto(problems)}, nil
}
