package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	buildv1 "github.com/openshift/api/build/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

var (
	buildConfigs = schema.GroupVersionResource{Group: "build.openshift.io", Version: "v1", Resource: "buildconfigs"}
	builds       = schema.GroupVersionResource{Group: "build.openshift.io", Version: "v1", Resource: "builds"}
)

// generator starts builds the way OpenShift's API server does: the number on the BuildConfig first, the Build
// after it, so that something can happen in between.
type generator struct {
	objects dynamic.Interface
	core    kubernetes.Interface
}

// The server there tries this often, without a pause, when the BuildConfig changes under its hands.
const conflictTries = 3

func fromUnstructured(object *unstructured.Unstructured, out any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, out)
}

func toUnstructured(object any) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	return &unstructured.Unstructured{Object: fields}, err
}

func conflict(name string) error {
	return apierrors.NewConflict(buildConfigs.GroupResource(), name,
		fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
}

func (g *generator) instantiate(ctx context.Context, request *buildv1.BuildRequest, f *fault) (build *buildv1.Build, err error) {
	if f.is("conflict") {
		return nil, conflict(request.Name)
	}
	for range conflictTries {
		if build, err = g.try(ctx, request, f); !apierrors.IsConflict(err) {
			break
		}
	}
	return build, err
}

func (g *generator) try(ctx context.Context, request *buildv1.BuildRequest, f *fault) (*buildv1.Build, error) {
	stored, err := g.objects.Resource(buildConfigs).Namespace(request.Namespace).Get(ctx, request.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	bc := &buildv1.BuildConfig{}
	if err := fromUnstructured(stored, bc); err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	if strings.ToLower(bc.Annotations[buildv1.BuildConfigPausedAnnotation]) == "true" {
		return nil, apierrors.NewBadRequest(fmt.Sprintf(
			"can't instantiate from BuildConfig %s/%s: BuildConfig is paused", bc.Namespace, bc.Name))
	}
	if v := request.LastVersion; v != nil && *v != bc.Status.LastVersion {
		return nil, apierrors.NewBadRequest(fmt.Sprintf(
			"the LastVersion(%d) on build config %s/%s does not match the build request LastVersion(%d)",
			bc.Status.LastVersion, bc.Namespace, bc.Name, *v))
	}
	noteImages(bc)
	bc.Status.LastVersion++
	build := buildOf(bc, request)
	if err := g.checkServiceAccount(ctx, build, f); err != nil {
		return nil, err
	}
	if err := applyOptions(build, bc, request); err != nil {
		return nil, err
	}
	if err := g.raiseNumber(ctx, bc); err != nil {
		return nil, err
	}
	return g.create(ctx, build, f)
}

// A missing account is an internal error there.
func (g *generator) checkServiceAccount(ctx context.Context, build *buildv1.Build, f *fault) error {
	namespace, name := build.Namespace, build.Spec.ServiceAccount
	_, err := g.core.CoreV1().ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
	if f.is("no-service-account") {
		err = apierrors.NewNotFound(corev1.Resource("serviceaccounts"), name)
	}
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf(
			"error getting push/pull secrets for service account %s/%s: %v", namespace, name, err))
	}
	return nil
}

func (g *generator) raiseNumber(ctx context.Context, bc *buildv1.BuildConfig) error {
	object, err := toUnstructured(bc)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	_, err = g.objects.Resource(buildConfigs).Namespace(bc.Namespace).Update(ctx, object, metav1.UpdateOptions{})
	return err
}

// create comes after the number was raised: every failure here leaves a gap.
func (g *generator) create(ctx context.Context, build *buildv1.Build, f *fault) (*buildv1.Build, error) {
	switch {
	case f.is("gap"):
		return nil, apierrors.NewInternalError(fmt.Errorf("etcdserver: request timed out"))
	case f.is("gap-cut"):
		cut()
	case f.is("already-exists"):
		return nil, apierrors.NewAlreadyExists(builds.GroupResource(), build.Name)
	case f.is("quota"):
		return nil, apierrors.NewForbidden(builds.GroupResource(), build.Name, fmt.Errorf("exceeded quota: builds"))
	case f.is("slow-create"):
		ctx = context.WithoutCancel(ctx) // it is on its way to storage: it happens though the caller has gone
		f.delay()
	}
	object, err := toUnstructured(build)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	created, err := g.objects.Resource(builds).Namespace(build.Namespace).Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	out := &buildv1.Build{}
	return out, fromUnstructured(created, out)
}

// buildName keeps within a name's length as OpenShift does: a hash stands for what was cut off.
func buildName(base string, number int64) string {
	suffix := strconv.FormatInt(number, 10)
	name := base + "-" + suffix
	if len(name) <= validation.DNS1123SubdomainMaxLength {
		return name
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(base))
	cut := validation.DNS1123SubdomainMaxLength - len(suffix) - 10
	return fmt.Sprintf("%s-%08x-%s", base[:cut], hash.Sum32(), suffix)
}

func labelValue(name string) string {
	for value := name; value != ""; value = value[:len(value)-1] {
		if len(validation.IsValidLabelValue(value)) == 0 {
			return value
		}
	}
	return name
}

// resolve stands for the image streams of OpenShift: each tag has an image, always the same.
func resolve(from *corev1.ObjectReference, namespace string) string {
	if from.Kind == "DockerImage" {
		return from.Name
	}
	if from.Namespace != "" {
		namespace = from.Namespace
	}
	name, _, _ := strings.Cut(strings.ReplaceAll(from.Name, "@", ":"), ":")
	return fmt.Sprintf("image-registry.openshift-image-registry.svc:5000/%s/%s@sha256:%x",
		namespace, name, sha256.Sum256([]byte(namespace+"/"+from.Name)))
}

// strategyFrom is the image that the strategy starts from; nil where it names none.
func strategyFrom(s *buildv1.BuildStrategy) *corev1.ObjectReference {
	switch {
	case s.SourceStrategy != nil:
		return &s.SourceStrategy.From
	case s.DockerStrategy != nil:
		return s.DockerStrategy.From
	case s.CustomStrategy != nil:
		return &s.CustomStrategy.From
	}
	return nil
}

func noteImages(bc *buildv1.BuildConfig) {
	bc.Status.ImageChangeTriggers = nil
	for _, trigger := range bc.Spec.Triggers {
		if trigger.Type != buildv1.ImageChangeBuildTriggerType {
			continue
		}
		from := strategyFrom(&bc.Spec.Strategy)
		if trigger.ImageChange != nil && trigger.ImageChange.From != nil {
			from = trigger.ImageChange.From
		}
		if from == nil || from.Kind == "DockerImage" {
			continue
		}
		bc.Status.ImageChangeTriggers = append(bc.Status.ImageChangeTriggers, buildv1.ImageChangeTriggerStatus{
			From:                 buildv1.ImageStreamTagReference{Namespace: from.Namespace, Name: from.Name},
			LastTriggeredImageID: resolve(from, bc.Namespace),
		})
	}
}

func sourceType(s *buildv1.BuildSource) buildv1.BuildSourceType {
	switch {
	case s.Git != nil:
		return buildv1.BuildSourceGit
	case s.Binary != nil:
		return buildv1.BuildSourceBinary
	case s.Dockerfile != nil:
		return buildv1.BuildSourceDockerfile
	case len(s.Images) > 0:
		return buildv1.BuildSourceImage
	}
	return buildv1.BuildSourceNone
}

func setSource(spec *buildv1.BuildSpec, binary *buildv1.BinaryBuildSource) {
	source := &spec.Source
	source.Binary = binary
	if binary != nil {
		source.Git = nil
		if binary.AsFile == "Dockerfile" {
			source.Dockerfile = nil
		}
	}
	source.Type = sourceType(source)
}

func setStrategy(spec *buildv1.BuildSpec, namespace string) {
	strategy := &spec.Strategy
	if strategy.Type == buildv1.DockerBuildStrategyType && strategy.DockerStrategy == nil {
		strategy.DockerStrategy = &buildv1.DockerBuildStrategy{}
	}
	if from := strategyFrom(strategy); from != nil {
		*from = corev1.ObjectReference{Kind: "DockerImage", Name: resolve(from, namespace)}
	}
	for i := range spec.Source.Images {
		from := &spec.Source.Images[i].From
		*from = corev1.ObjectReference{Kind: "DockerImage", Name: resolve(from, namespace)}
	}
	switch {
	case strategy.SourceStrategy != nil:
		strategy.Type = buildv1.SourceBuildStrategyType
	case strategy.DockerStrategy != nil:
		strategy.Type = buildv1.DockerBuildStrategyType
	case strategy.CustomStrategy != nil:
		strategy.Type = buildv1.CustomBuildStrategyType
		custom := strategy.CustomStrategy
		custom.Env = replaceEnv(custom.Env, []corev1.EnvVar{
			{Name: buildv1.CustomBuildStrategyBaseImageKey, Value: custom.From.Name}})
	default:
		strategy.Type = buildv1.JenkinsPipelineBuildStrategyType
	}
}

func merged(base, wins map[string]string) map[string]string {
	all := maps.Clone(base)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, wins)
	return all
}

// buildOf is the Build that bc, with its number raised, gives; options of the request come later.
func buildOf(bc *buildv1.BuildConfig, request *buildv1.BuildRequest) *buildv1.Build {
	isController, now := true, metav1.Now()
	build := &buildv1.Build{
		TypeMeta: metav1.TypeMeta{APIVersion: buildv1.GroupVersion.String(), Kind: "Build"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: bc.Namespace,
			Name:      buildName(bc.Name, bc.Status.LastVersion),
			Labels: merged(request.Labels, merged(bc.Labels, map[string]string{
				buildv1.BuildConfigLabelDeprecated: labelValue(bc.Name),
				buildv1.BuildConfigLabel:           labelValue(bc.Name),
				buildv1.BuildRunPolicyLabel:        string(bc.Spec.RunPolicy),
			})),
			Annotations: merged(request.Annotations, map[string]string{
				buildv1.BuildConfigAnnotation: bc.Name,
				buildv1.BuildNumberAnnotation: strconv.FormatInt(bc.Status.LastVersion, 10),
			}),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: buildv1.GroupVersion.String(), Kind: "BuildConfig", Name: bc.Name, UID: bc.UID, Controller: &isController,
			}},
		},
		Spec: buildv1.BuildSpec{CommonSpec: *bc.Spec.CommonSpec.DeepCopy(), TriggeredBy: request.TriggeredBy},
		Status: buildv1.BuildStatus{
			Phase: buildv1.BuildPhaseNew,
			Conditions: []buildv1.BuildCondition{{
				Type:               buildv1.BuildConditionType(buildv1.BuildPhaseNew),
				Status:             corev1.ConditionTrue,
				LastUpdateTime:     now,
				LastTransitionTime: now,
			}},
			Config: &corev1.ObjectReference{Kind: "BuildConfig", Namespace: bc.Namespace, Name: bc.Name},
		},
	}
	spec := &build.Spec
	spec.Revision = request.Revision.DeepCopy()
	if spec.Revision != nil {
		spec.Revision.Type = buildv1.BuildSourceGit
	}
	if spec.ServiceAccount == "" {
		spec.ServiceAccount = "builder"
	}
	setSource(spec, request.Binary)
	setStrategy(spec, bc.Namespace)
	return build
}

func replaceEnv(old, with []corev1.EnvVar) []corev1.EnvVar {
	kept := slices.DeleteFunc(slices.Clone(old), func(e corev1.EnvVar) bool {
		return slices.ContainsFunc(with, func(w corev1.EnvVar) bool { return w.Name == e.Name })
	})
	return append(kept, with...)
}

func strategyEnv(s *buildv1.BuildStrategy) *[]corev1.EnvVar {
	switch {
	case s.SourceStrategy != nil:
		return &s.SourceStrategy.Env
	case s.DockerStrategy != nil:
		return &s.DockerStrategy.Env
	case s.CustomStrategy != nil:
		return &s.CustomStrategy.Env
	}
	return &s.JenkinsPipelineStrategy.Env
}

func applyOptions(build *buildv1.Build, bc *buildv1.BuildConfig, request *buildv1.BuildRequest) error {
	strategy := &build.Spec.Strategy
	if len(request.Env) > 0 {
		env := strategyEnv(strategy)
		*env = replaceEnv(*env, request.Env)
	}
	if options := request.DockerStrategyOptions; options != nil && (len(options.BuildArgs) > 0 || options.NoCache != nil) {
		if strategy.DockerStrategy == nil {
			return apierrors.NewBadRequest(fmt.Sprintf(
				"Cannot specify Docker build specific options on %s/%s, not a Docker build.", bc.Namespace, bc.Name))
		}
		strategy.DockerStrategy.BuildArgs = replaceEnv(strategy.DockerStrategy.BuildArgs, options.BuildArgs)
		if options.NoCache != nil {
			strategy.DockerStrategy.NoCache = *options.NoCache
		}
	}
	if options := request.SourceStrategyOptions; options != nil && options.Incremental != nil {
		if strategy.SourceStrategy == nil {
			return apierrors.NewBadRequest(fmt.Sprintf(
				"Cannot specify Source build specific options on %s/%s, not a Source build.", bc.Namespace, bc.Name))
		}
		strategy.SourceStrategy.Incremental = options.Incremental
	}
	return nil
}
