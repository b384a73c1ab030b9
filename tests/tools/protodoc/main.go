// Command protodoc writes the reference of the plugin protocol, as Markdown, from the comments in its proto files. It reads
// what `buf build -o -` writes.
package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// protocol is the package that is documented.
const protocol protoreflect.FullName = "stroem.plugin.v1"

// order is that of the files: what every plugin has comes first.
var order = []string{"plugin.proto", "runner.proto", "source.proto", "logstore.proto"}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "protodoc:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	image, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read the image: %w", err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(image, &set); err != nil {
		return fmt.Errorf("decode the image: %w", err)
	}
	registry, err := protodesc.NewFiles(&set)
	if err != nil {
		return fmt.Errorf("link the image: %w", err)
	}
	var files []protoreflect.FileDescriptor
	registry.RangeFilesByPackage(protocol, func(file protoreflect.FileDescriptor) bool {
		files = append(files, file)
		return true
	})
	if len(files) == 0 {
		return errors.New("there is no package " + string(protocol) + " in the image")
	}
	slices.SortFunc(files, func(a, b protoreflect.FileDescriptor) int { return cmp.Compare(place(a), place(b)) })
	w := &writer{Writer: bufio.NewWriter(out)}
	w.document(files)
	return w.Flush()
}

// place is where a file stands; one that nobody has placed is last.
func place(file protoreflect.FileDescriptor) int {
	i := slices.IndexFunc(order, func(name string) bool { return strings.HasSuffix(file.Path(), "/"+name) })
	if i < 0 {
		return len(order)
	}
	return i
}

// writer writes Markdown. Its errors come out of Flush.
type writer struct{ *bufio.Writer }

func (w *writer) printf(format string, args ...any) { _, _ = fmt.Fprintf(w.Writer, format, args...) }

func (w *writer) document(files []protoreflect.FileDescriptor) {
	w.printf("# Protocol reference\n\n<!-- Made by `make generate` from the comments in pluginapi/proto. Do not edit. -->\n\n")
	w.printf("Package `%s`. [Plugins in any language](any-language.md) says how a plugin is started and what it serves besides.\n", protocol)
	for _, file := range files {
		if text := packageComment(file); text != "" {
			w.printf("\n%s\n", text)
		}
	}
	for _, file := range files {
		for service := range all(file.Services()) {
			w.service(service)
		}
	}
	for _, file := range files {
		w.types(file)
	}
}

func (w *writer) service(service protoreflect.ServiceDescriptor) {
	w.printf("\n## %s\n\n%s\n", service.Name(), comment(service))
	for method := range all(service.Methods()) {
		w.printf("\n### %s.%s\n\n`rpc %s(%s) returns (%s)`: %s, %s\n\n%s\n", strings.TrimSuffix(string(service.Name()), "Service"), method.Name(), method.Name(),
			stream(method.IsStreamingClient(), method.Input()), stream(method.IsStreamingServer(), method.Output()),
			link(method.Input()), link(method.Output()), comment(method))
	}
}

func stream(streaming bool, message protoreflect.MessageDescriptor) string {
	if streaming {
		return "stream " + string(message.Name())
	}
	return string(message.Name())
}

// types are the messages and enums of a file, in its order.
func (w *writer) types(file protoreflect.FileDescriptor) {
	var list []protoreflect.Descriptor
	for message := range all(file.Messages()) {
		list = append(list, message)
	}
	for enum := range all(file.Enums()) {
		list = append(list, enum)
	}
	line := func(d protoreflect.Descriptor) int { return file.SourceLocations().ByDescriptor(d).StartLine }
	slices.SortFunc(list, func(a, b protoreflect.Descriptor) int { return cmp.Compare(line(a), line(b)) })
	w.printf("\n## Messages of %s\n", file.Path()[strings.LastIndex(file.Path(), "/")+1:])
	for _, d := range list {
		w.printf("\n### %s\n", d.Name())
		if text := comment(d); text != "" {
			w.printf("\n%s\n", text)
		}
		switch d := d.(type) {
		case protoreflect.MessageDescriptor:
			w.message(d)
		case protoreflect.EnumDescriptor:
			w.printf("\n| value | number | |\n|---|---|---|\n")
			for value := range all(d.Values()) {
				w.printf("| `%s` | %d | %s |\n", value.Name(), value.Number(), oneLine(comment(value)))
			}
		}
	}
}

func (w *writer) message(message protoreflect.MessageDescriptor) {
	if message.Fields().Len() == 0 {
		w.printf("\nNo fields.\n")
		return
	}
	w.printf("\n| field | number | type | |\n|---|---|---|---|\n")
	for field := range all(message.Fields()) {
		text := oneLine(comment(field))
		if one := field.ContainingOneof(); one != nil {
			text = strings.TrimSpace("one of `" + string(one.Name()) + "`. " + text)
		}
		w.printf("| `%s` | %d | %s | %s |\n", field.Name(), field.Number(), typeOf(field), text)
	}
}

func typeOf(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsMap():
		return "map of " + typeOf(field.MapKey()) + " to " + typeOf(field.MapValue())
	case field.Message() != nil:
		return repeated(field) + link(field.Message())
	case field.Enum() != nil:
		return repeated(field) + link(field.Enum())
	default:
		return repeated(field) + field.Kind().String()
	}
}

func repeated(field protoreflect.FieldDescriptor) string {
	if field.IsList() {
		return "repeated "
	}
	return ""
}

// link is the name of a type, which leads to its section if it is one of ours.
func link(d protoreflect.Descriptor) string {
	if d.ParentFile().Package() != protocol {
		return string(d.FullName())
	}
	return fmt.Sprintf("[%s](#%s)", d.Name(), strings.ToLower(string(d.Name())))
}

// comment is what stands above a declaration. Its lines are those of the source, so that differences are easy to read.
func comment(d protoreflect.Descriptor) string {
	return text(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments)
}

// packageComment is what stands above the package of a file.
func packageComment(file protoreflect.FileDescriptor) string {
	const packageField = 2 // of FileDescriptorProto
	return text(file.SourceLocations().ByPath(protoreflect.SourcePath{packageField}).LeadingComments)
}

func text(comment string) string {
	lines := strings.Split(strings.TrimSpace(comment), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}

func oneLine(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "\\|")
}

// all are the elements of one of protoreflect's lists.
func all[T any](list interface {
	Len() int
	Get(int) T
},
) func(yield func(T) bool) {
	return func(yield func(T) bool) {
		for i := range list.Len() {
			if !yield(list.Get(i)) {
				return
			}
		}
	}
}
