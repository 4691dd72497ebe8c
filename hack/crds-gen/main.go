// Command crds-gen writes the CustomResourceDefinitions of BuildConfig and Build, for clusters that are not
// OpenShift. OpenShift ships none: it serves both from a server of its own. The schemas come from OpenShift's
// Go types; what that server does in code, and a CRD can say, is added here.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	_ "github.com/openshift/api/build/v1" // keeps the version that is read below in go.mod
	"golang.org/x/tools/go/packages"
	apiext "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-tools/pkg/crd"
	crdmarkers "sigs.k8s.io/controller-tools/pkg/crd/markers"
	"sigs.k8s.io/controller-tools/pkg/loader"
	"sigs.k8s.io/controller-tools/pkg/markers"
	"sigs.k8s.io/yaml"
)

const typesPackage = "github.com/openshift/api/build/v1"

// generate makes the definition of one kind as controller-gen does.
func generate(kind string) (*apiext.CustomResourceDefinition, error) {
	roots, err := loader.LoadRoots(typesPackage)
	if err != nil {
		return nil, err
	}
	registry := &markers.Registry{}
	if err := crdmarkers.Register(registry); err != nil {
		return nil, err
	}
	parser := &crd.Parser{Collector: &markers.Collector{Registry: registry}, Checker: &loader.TypeChecker{}}
	crd.AddKnownTypes(parser)
	parser.NeedPackage(roots[0])
	groupKind := schema.GroupKind{Group: "build.openshift.io", Kind: kind}
	parser.NeedCRDFor(groupKind, nil)
	if loader.PrintErrors(roots, packages.TypeError) { // types are looked up as they are needed
		return nil, fmt.Errorf("cannot generate %s", groupKind)
	}
	definition := parser.CustomResourceDefinitions[groupKind]
	crd.FixTopLevelMetadata(definition)
	return &definition, nil
}

var (
	paragraphEnd = regexp.MustCompile(`\n\s*\n`)
	sentenceEnd  = regexp.MustCompile(`\.\s`)
	spaces       = regexp.MustCompile(`\s+`)
)

// firstSentence keeps `kubectl explain` useful and the definitions small.
func firstSentence(description string) string {
	text := paragraphEnd.Split(description, 2)[0]
	if end := sentenceEnd.FindStringIndex(text + " "); end != nil {
		text = text[:min(end[0]+1, len(text))]
	}
	return strings.TrimSpace(spaces.ReplaceAllString(text, " "))
}

type descriptions struct{}

func (d descriptions) Visit(node *apiext.JSONSchemaProps) crd.SchemaVisitor {
	if node != nil {
		node.Description = firstSentence(node.Description)
	}
	return d
}

// at is the schema of a field, "[]" being the items of a list. The mends below must not miss their field when
// the types change, so it is an error if there is none.
func at(node *apiext.JSONSchemaProps, path string, mend func(*apiext.JSONSchemaProps)) {
	if path == "" {
		mend(node)
		return
	}
	field, rest, _ := strings.Cut(path, ".")
	if field == "[]" {
		at(node.Items.Schema, rest, mend)
		return
	}
	child, ok := node.Properties[field]
	if !ok {
		panic("no field " + path)
	}
	at(&child, rest, mend)
	node.Properties[field] = child
}

func rule(expression, message string) apiext.ValidationRule {
	return apiext.ValidationRule{Rule: expression, Message: message}
}

func jsonValue(text string) *apiext.JSON { return &apiext.JSON{Raw: []byte(text)} }

func enum(values ...string) (list []apiext.JSON) {
	for _, v := range values {
		list = append(list, *jsonValue(fmt.Sprintf("%q", v)))
	}
	return list
}

func atLeast(minimum float64) func(*apiext.JSONSchemaProps) {
	return func(s *apiext.JSONSchemaProps) { s.Minimum = &minimum }
}

func notEmpty(s *apiext.JSONSchemaProps) {
	one := int64(1)
	s.MinLength = &one
}

func nullable(s *apiext.JSONSchemaProps) { s.Nullable = true }

// mendCommonSpec is for what BuildConfig and Build share.
func mendCommonSpec(spec *apiext.JSONSchemaProps) {
	// Every exported BuildConfig has nodeSelector: null; "dockerStrategy:" with nothing after it is a habit.
	at(spec, "nodeSelector", nullable)
	at(spec, "strategy.dockerStrategy", nullable)
	at(spec, "completionDeadlineSeconds", atLeast(1))
	at(spec, "source.git.uri", notEmpty)
	at(spec, "postCommit", func(s *apiext.JSONSchemaProps) {
		s.XValidations = append(s.XValidations, rule(
			"!has(self.command) || size(self.command) == 0 || !has(self.script) || self.script == ''",
			"cannot use command and script together"))
	})
	at(spec, "strategy", func(s *apiext.JSONSchemaProps) {
		// OpenShift sets the type from the member; and the member from this one type.
		s.XValidations = append(s.XValidations, rule(
			"(has(self.dockerStrategy) || (has(self.type) && self.type == 'Docker') ? 1 : 0) + (has(self.sourceStrategy) ? 1 : 0)"+
				" + (has(self.customStrategy) ? 1 : 0) + (has(self.jenkinsPipelineStrategy) ? 1 : 0) == 1",
			"must provide exactly one of dockerStrategy, sourceStrategy, customStrategy and jenkinsPipelineStrategy"))
	})
	spec.XValidations = append(spec.XValidations,
		rule("!has(self.strategy.dockerStrategy) || (has(self.source) && (has(self.source.git) || has(self.source.binary)"+
			" || has(self.source.dockerfile) || has(self.source.images) || (has(self.source.type) && self.source.type == 'Binary')))",
			"a Docker build must provide at least one of source.git, source.binary, source.dockerfile and source.images"),
		rule("has(self.strategy.customStrategy) || !has(self.source) || !has(self.source.git) || !has(self.source.binary)",
			"source.git and source.binary exclude each other"))
	// The server there fills it in.
	at(spec, "revision", func(s *apiext.JSONSchemaProps) { s.Required = nil })
}

// mendTriggers states what OpenShift's validateTrigger checks, but for one thing: a trigger may name no secret,
// which buildhook then makes. OpenShift drops triggers of unknown types without a word; here they are refused,
// because nobody means to write one.
func mendTriggers(spec *apiext.JSONSchemaProps) {
	members := []struct{ condition, member string }{
		{"self.type in ['GitHub', 'github']", "github"},
		{"self.type == 'GitLab'", "gitlab"},
		{"self.type == 'Bitbucket'", "bitbucket"},
		{"self.type in ['Generic', 'generic']", "generic"},
	}
	at(spec, "triggers", nullable)
	at(spec, "triggers.[].imageChange", nullable)
	at(spec, "triggers.[]", func(s *apiext.JSONSchemaProps) {
		for _, m := range members {
			s.XValidations = append(s.XValidations, rule(fmt.Sprintf("!(%s) || has(self.%s)", m.condition, m.member),
				fmt.Sprintf("a trigger of this type needs the field %s", m.member)))
		}
	})
	// The three in lower case are OpenShift's deprecated spellings.
	at(spec, "triggers.[].type", func(s *apiext.JSONSchemaProps) {
		s.Enum = enum("GitHub", "GitLab", "Bitbucket", "Generic", "ImageChange", "ConfigChange", "github", "generic", "imageChange")
	})
	for _, m := range members {
		at(spec, "triggers.[]."+m.member+".secretReference.name", notEmpty)
		if m.member != "generic" {
			at(spec, "triggers.[]."+m.member, func(s *apiext.JSONSchemaProps) {
				s.XValidations = append(s.XValidations, rule("!has(self.allowEnv) || !self.allowEnv",
					"git webhooks cannot allow env vars: allowEnv is for generic only"))
			})
		}
	}
	at(spec, "triggers.[].imageChange.from", func(s *apiext.JSONSchemaProps) {
		s.XValidations = append(s.XValidations, rule("has(self.kind) && self.kind == 'ImageStreamTag'",
			"only an ImageStreamTag is allowed in an ImageChange trigger"))
	})
}

func mendBuildConfig(version *apiext.CustomResourceDefinitionVersion) {
	// Else applying an exported file would set status.lastVersion back, and builds of old numbers would be in the way.
	version.Subresources = &apiext.CustomResourceSubresources{Status: &apiext.CustomResourceSubresourceStatus{}}
	// OpenShift always has it.
	at(version.Schema.OpenAPIV3Schema, "status", func(s *apiext.JSONSchemaProps) { s.Default = jsonValue("{}") })
	at(version.Schema.OpenAPIV3Schema, "status.lastVersion", func(s *apiext.JSONSchemaProps) { s.Default = jsonValue("0") })
	at(version.Schema.OpenAPIV3Schema, "spec", func(spec *apiext.JSONSchemaProps) {
		mendCommonSpec(spec)
		mendTriggers(spec)
		at(spec, "runPolicy", func(s *apiext.JSONSchemaProps) {
			s.Default, s.Enum = jsonValue(`"Serial"`), enum("Parallel", "Serial", "SerialLatestOnly")
		})
		for _, limit := range []string{"successfulBuildsHistoryLimit", "failedBuildsHistoryLimit"} {
			at(spec, limit, atLeast(0))
			at(spec, limit, func(s *apiext.JSONSchemaProps) { s.Default = jsonValue("5") })
		}
	})
}

// mendBuild leaves the status subresource away: a Build is created with status.phase New, which must stay.
func mendBuild(version *apiext.CustomResourceDefinitionVersion) {
	at(version.Schema.OpenAPIV3Schema, "spec", mendCommonSpec)
}

var kinds = []struct {
	kind       string
	shortNames []string
	mend       func(*apiext.CustomResourceDefinitionVersion)
	columns    []apiext.CustomResourceColumnDefinition
}{
	{"BuildConfig", []string{"bc"}, mendBuildConfig, []apiext.CustomResourceColumnDefinition{
		{Name: "Type", Type: "string", JSONPath: ".spec.strategy.type"},
		{Name: "From", Type: "string", JSONPath: ".spec.source.type"},
		{Name: "Latest", Type: "integer", JSONPath: ".status.lastVersion"},
	}},
	{"Build", nil, mendBuild, []apiext.CustomResourceColumnDefinition{
		{Name: "Type", Type: "string", JSONPath: ".spec.strategy.type"},
		{Name: "From", Type: "string", JSONPath: ".spec.source.type"},
		{Name: "Status", Type: "string", JSONPath: ".status.phase"},
		{Name: "Started", Type: "date", JSONPath: ".status.startTimestamp"},
		// Not .status.duration, which is in nanoseconds: a column cannot format it.
		{Name: "Finished", Type: "date", JSONPath: ".status.completionTimestamp"},
	}},
}

func write(path string, definition *apiext.CustomResourceDefinition) error {
	text, err := yaml.Marshal(definition)
	if err != nil {
		return err
	}
	// The server's part, which the type can't leave out.
	text = text[:bytes.Index(text, []byte("\nstatus:\n"))+1]
	head := "# Made by hack/crds from " + typesPackage + ". Do not edit.\n"
	return os.WriteFile(path, append([]byte(head), text...), 0o644)
}

func run(dir string) error {
	for _, k := range kinds {
		definition, err := generate(k.kind)
		if err != nil {
			return err
		}
		definition.Spec.Names.ShortNames = k.shortNames
		definition.Spec.Names.Categories = []string{"all"}
		version := &definition.Spec.Versions[0]
		version.Storage = true
		version.AdditionalPrinterColumns = k.columns
		crd.EditSchema(version.Schema.OpenAPIV3Schema, descriptions{})
		k.mend(version)
		if err := write(filepath.Join(dir, definition.Spec.Names.Plural+".yaml"), definition); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: crds-gen DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "crds-gen:", err)
		os.Exit(1)
	}
}
