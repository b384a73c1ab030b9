package httpapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/version"
)

func (a *API) getOpenAPI(c *fiber.Ctx) error {
	document, err := a.OpenAPI()
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(document)
}

type object = map[string]any

// OpenAPI is the OpenAPI 3.1 document of all routes, made from their table and the Go types on the wire.
func (a *API) OpenAPI() ([]byte, error) {
	schemas := object{}
	paths := map[string]object{}
	for _, r := range a.routes() {
		operation, err := describeRoute(r, schemas)
		if err != nil {
			return nil, fmt.Errorf("describe %s %s: %w", r.method, r.path, err)
		}
		path := openAPIPath(r.path)
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path][strings.ToLower(r.method)] = operation
	}
	document := object{
		"openapi": "3.1.0",
		"info":    object{"title": "Strøm", "version": version.Version, "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"paths":   paths,
		"components": object{
			"schemas":         schemas,
			"securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer"}},
		},
	}
	return json.Marshal(document)
}

// openAPIPath turns :name into {name}.
func openAPIPath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

func describeRoute(r route, schemas object) (object, error) {
	operation := object{"operationId": r.id, "summary": r.summary}
	var parameters []object
	for part := range strings.SplitSeq(r.path, "/") {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parameters = append(parameters, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	for _, q := range r.query {
		parameters = append(parameters, object{"name": q.name, "in": "query", "description": q.description, "schema": object{"type": "string"}})
	}
	if parameters != nil {
		operation["parameters"] = parameters
	}
	if r.permission.who != anybody {
		operation["security"] = []object{{"bearer": []string{}}}
	}
	if r.body != nil {
		schema, err := reference(reflect.TypeOf(r.body), schemas)
		if err != nil {
			return nil, err
		}
		operation["requestBody"] = object{"content": object{fiber.MIMEApplicationJSON: object{"schema": schema}}}
	}
	status, ok := "200", object{"description": "OK"}
	switch response := r.response.(type) {
	case nil:
	case socket:
		status, ok = "101", object{"description": "Switching Protocols: a WebSocket"}
	case ndjson:
		schema, err := reference(reflect.TypeOf(response.of), schemas)
		if err != nil {
			return nil, err
		}
		ok["content"] = object{mimeNDJSON: object{"schema": schema}}
	default:
		schema, err := reference(reflect.TypeOf(response), schemas)
		if err != nil {
			return nil, err
		}
		ok["content"] = object{fiber.MIMEApplicationJSON: object{"schema": schema}}
	}
	failure, err := reference(reflect.TypeFor[api.Error](), schemas)
	if err != nil {
		return nil, err
	}
	operation["responses"] = object{
		status:    ok,
		"default": object{"description": "What went wrong", "content": object{fiber.MIMEApplicationJSON: object{"schema": failure}}},
	}
	return operation, nil
}

// reference puts the schema of a type among the components, and refers to it.
func reference(t reflect.Type, schemas object) (any, error) {
	if t.Kind() == reflect.Slice {
		items, err := reference(t.Elem(), schemas)
		return object{"type": "array", "items": items}, err
	}
	if _, done := schemas[t.Name()]; !done {
		schema, err := schemaOf(t)
		if err != nil {
			return nil, err
		}
		schemas[t.Name()] = schema
	}
	return object{"$ref": "#/components/schemas/" + t.Name()}, nil
}

func schemaOf(t reflect.Type) (*jsonschema.Schema, error) {
	return jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[json.RawMessage](): {},
		reflect.TypeFor[[]byte]():          {Types: []string{"null", "string"}, ContentEncoding: "base64"},
	}})
}
