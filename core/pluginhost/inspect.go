package pluginhost

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/stroem/stroem/pluginapi"
)

// Inspect starts the plugin at config.Path, which may have any name, asks it what it is, and ends it again. Of config only
// Args and Env count besides: it is not configured, and who may write to the file does not matter. What a host would refuse
// to run is an error.
func Inspect(ctx context.Context, config PluginConfig, log *slog.Logger) (*pluginapi.Description, error) {
	path, err := filepath.Abs(config.Path)
	if err != nil {
		return nil, fmt.Errorf("find the plugin: %w", err)
	}
	limits := Limits{}.withDefaults()
	c := &candidate{
		kind: "plugin", name: filepath.Base(path), binary: binary{filepath.Dir(path), filepath.Base(path)}, PluginConfig: config,
	}
	i, description, err := launch(ctx, c, limits, log.With("plugin", c.name))
	if err != nil {
		return nil, fmt.Errorf("start the plugin %s: %w", path, err)
	}
	defer i.stop(limits.Exit)
	c.kind, c.name = description.Kind, description.Name // whatever they are
	if err := checkDescription(c, description); err != nil {
		return nil, fmt.Errorf("the plugin %s cannot be used: %w", path, err)
	}
	return description, nil
}
