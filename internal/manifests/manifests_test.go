package manifests

import (
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const folder = "../../deploy/kubernetes"

// kinds are the types that the manifests may use.
var kinds = map[string]func() any{
	"apps/v1 Deployment": func() any { return new(appsv1.Deployment) },
	"batch/v1 Job":       func() any { return new(batchv1.Job) },
	"kustomize.config.k8s.io/v1beta1 Kustomization": func() any { return new(types.Kustomization) },
	"networking.k8s.io/v1 NetworkPolicy":            func() any { return new(networkingv1.NetworkPolicy) },
	"policy/v1 PodDisruptionBudget":                 func() any { return new(policyv1.PodDisruptionBudget) },
	"v1 ConfigMap":                                  func() any { return new(corev1.ConfigMap) },
	"v1 Namespace":                                  func() any { return new(corev1.Namespace) },
	"v1 Service":                                    func() any { return new(corev1.Service) },
}

// decode reads one document strictly into the type that it says it is of.
func decode(t *testing.T, from string, document []byte) any {
	t.Helper()
	var of metav1.TypeMeta
	require.NoError(t, yaml.Unmarshal(document, &of), from)
	kind := kinds[of.APIVersion+" "+of.Kind]
	require.NotNil(t, kind, "%s: %s %s is none of the kinds that are known here", from, of.APIVersion, of.Kind)
	object := kind()
	require.NoError(t, yaml.UnmarshalStrict(document, object), from)
	return object
}

var between = regexp.MustCompile(`(?m)^---$`)

// Each file as it is written: a member that is there twice would be lost when it is built.
func TestFilesAreStrict(t *testing.T) {
	seen := 0
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		require.Equal(t, ".yaml", filepath.Ext(path), "%s: what is it?", path)
		text, err := os.ReadFile(path)
		for _, document := range between.Split(string(text), -1) {
			decode(t, path, []byte(document))
			seen++
		}
		return err
	}))
	require.Greater(t, seen, 7)
}

// built is what kubectl apply -k applies.
type built struct {
	config   map[string]string // of the ConfigMap
	pods     map[string]corev1.PodTemplateSpec
	runs     map[string]appsv1.Deployment // by the name of its container
	budgets  map[string]policyv1.PodDisruptionBudget
	services []corev1.Service
	policies []networkingv1.NetworkPolicy
}

func build(t *testing.T) built {
	t.Helper()
	return buildOn(t, filesys.MakeFsOnDisk(), folder)
}

// switchedOn is a copy of the folder in which what is commented out is not.
func switchedOn(t *testing.T) filesys.FileSystem {
	t.Helper()
	copied, paths := filesys.MakeFsInMemory(), 0
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		paths++
		return copied.WriteFile(filepath.Base(path), regexp.MustCompile(`(?m)^( +)# - `).ReplaceAll(text, []byte("$1- ")))
	}))
	require.Greater(t, paths, 7)
	return copied
}

// Each file of the folder has a place in what is applied, also where it is off at first.
func TestWhatCanBeSwitchedOn(t *testing.T) {
	b := buildOn(t, switchedOn(t), ".")
	require.Contains(t, b.config, "OTEL_EXPORTER_OTLP_ENDPOINT")
	require.Equal(t, "0.05", b.config["OTEL_TRACES_SAMPLER_ARG"], "every trace would be taken")
	for _, name := range []string{"worker", "console"} {
		hasPayloadKeys(t, b.pods[name].Spec)
	}
}

// hasPayloadKeys: the folder that LEDGERLINE_PAYLOAD_KEYS names is in a volume.
func hasPayloadKeys(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	c := pod.Containers[0]
	env := make(map[string]string)
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	require.NotEmpty(t, env["LEDGERLINE_PAYLOAD_KEY"], c.Name)
	mounts := make(map[string]string)
	for _, m := range c.VolumeMounts {
		require.True(t, m.ReadOnly)
		mounts[m.MountPath] = m.Name
	}
	for _, v := range pod.Volumes {
		require.EqualValues(t, 0o440, *v.Secret.DefaultMode, v.Name)
		if v.Name == mounts[env["LEDGERLINE_PAYLOAD_KEYS"]] {
			require.Nil(t, v.Secret.Optional, "%s: without its keys it would write in clear", c.Name)
			return
		}
	}
	require.Fail(t, "LEDGERLINE_PAYLOAD_KEYS is in no volume", "%s: %v %v", c.Name, env, mounts)
}

func buildOn(t *testing.T, files filesys.FileSystem, folder string) (b built) {
	t.Helper()
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, folder)
	require.NoError(t, err)
	b.pods, b.runs = make(map[string]corev1.PodTemplateSpec), make(map[string]appsv1.Deployment)
	b.budgets = make(map[string]policyv1.PodDisruptionBudget)
	for _, r := range all.Resources() {
		document, err := r.AsYAML()
		require.NoError(t, err)
		require.True(t, r.GetNamespace() == "ledgerline" || r.GetKind() == "Namespace", r.CurId())
		switch o := decode(t, r.CurId().String(), document).(type) {
		case *corev1.ConfigMap:
			require.Nil(t, b.config, "one ConfigMap")
			b.config = o.Data
		case *appsv1.Deployment:
			name := o.Spec.Template.Spec.Containers[0].Name
			require.Equal(t, "ledgerline-"+name, o.Name)
			b.runs[name], b.pods[name] = *o, o.Spec.Template
		case *batchv1.Job:
			b.pods["migrate"] = o.Spec.Template
		case *policyv1.PodDisruptionBudget:
			b.budgets[o.Name] = *o
		case *corev1.Service:
			b.services = append(b.services, *o)
		case *networkingv1.NetworkPolicy:
			b.policies = append(b.policies, *o)
		}
	}
	require.Len(t, b.pods, 3)
	return b
}

// Pods run with no more rights than they need, as the user of the image, and get the
// files that their settings name.
func TestPods(t *testing.T) {
	b := build(t)
	image, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	user := regexp.MustCompile(`(?m)^USER (\d+)$`).FindSubmatch(image)
	require.NotNil(t, user)
	images := make(map[string]bool)
	for name, pod := range b.pods {
		spec := pod.Spec
		require.False(t, *spec.AutomountServiceAccountToken, name)
		require.False(t, *spec.EnableServiceLinks, name)
		require.True(t, *spec.SecurityContext.RunAsNonRoot, name)
		require.Equal(t, string(user[1]), strconv.FormatInt(*spec.SecurityContext.RunAsUser, 10), "%s: the user of the image", name)
		require.NotNil(t, spec.SecurityContext.FSGroup, name)
		require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, spec.SecurityContext.SeccompProfile.Type, name)
		require.Len(t, spec.Containers, 1, name)
		c := spec.Containers[0]
		images[c.Image] = true
		require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, name)
		require.False(t, *c.SecurityContext.AllowPrivilegeEscalation, name)
		require.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop, name)
		require.NotEmpty(t, c.Resources.Requests.Cpu().String(), name)
		require.False(t, c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero(), name)

		require.NotEmpty(t, c.EnvFrom, "%s: addresses come from the ConfigMap", name)
		env := make(map[string]string)
		for key, value := range b.config {
			env[key] = value
		}
		for _, e := range c.Env {
			require.Nil(t, e.ValueFrom, "%s: %s; a secret is a file", name, e.Name)
			env[e.Name] = e.Value
		}
		for key, value := range env {
			require.NotRegexp(t, `://[^/@]*:[^/@]*@`, value, "%s: %s has a password", name, key)
		}
		volumes := make(map[string]corev1.Volume)
		for _, v := range spec.Volumes {
			require.NotNil(t, v.Secret, "%s: volume %s", name, v.Name)
			require.EqualValues(t, 0o440, *v.Secret.DefaultMode, "%s: volume %s; the worker refuses a file that everybody may read", name, v.Name)
			volumes[v.Name] = v
		}
		organizations, password := 0, false
		require.Len(t, c.VolumeMounts, len(volumes), name)
		for _, m := range c.VolumeMounts {
			require.True(t, m.ReadOnly, "%s: %s", name, m.MountPath)
			require.Contains(t, volumes, m.Name, name)
			if id, ok := strings.CutPrefix(m.MountPath, env["LEDGERLINE_SECRETS"]+"/"); ok {
				require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, id, "%s: an organization's folder", name)
				require.True(t, *volumes[m.Name].Secret.Optional, "%s: %s: one that is missing keeps nobody else waiting", name, id)
				organizations++
			}
			password = password || filepath.Dir(env["PGPASSFILE"]) == m.MountPath
		}
		require.True(t, password, "%s: PGPASSFILE is in a volume", name)
		require.Equal(t, name == "worker", organizations > 0, "%s: secrets of vendors are for the worker alone", name)
		for key, value := range env {
			if !strings.HasSuffix(key, "_FILE") && key != "LEDGERLINE_CONSOLE_ACCESS" {
				continue
			}
			_, mounted := mountsOf(c)[filepath.Dir(value)]
			require.True(t, mounted, "%s: %s is in a volume", name, key)
		}
	}
	require.Len(t, images, 1, "worker and migration are of one version: %v", images)
	for image := range images {
		require.Regexp(t, `^[a-z0-9./-]+:\d+\.\d+\.\d+$`, image, "an image has its version")
	}
}

func mountsOf(c corev1.Container) map[string]string {
	mounts := make(map[string]string)
	for _, m := range c.VolumeMounts {
		mounts[m.MountPath] = m.Name
	}
	return mounts
}

// The console is reached at its pages by the Service, and asked for its state at a port that
// the Service does not have.
func TestConsolePorts(t *testing.T) {
	b := build(t)
	pod := b.pods["console"]
	c := pod.Spec.Containers[0]
	ports := make(map[string]string)
	for _, p := range c.Ports {
		ports[p.Name] = strconv.Itoa(int(p.ContainerPort))
	}
	require.Equal(t, []string{"--listen", ":" + ports["http"], "--ops-listen", ":" + ports["ops"]}, c.Args)
	for path, probe := range map[string]*corev1.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		require.Equal(t, path, probe.HTTPGet.Path)
		require.Equal(t, "ops", probe.HTTPGet.Port.String())
	}
	require.Equal(t, ports["ops"], pod.Annotations["prometheus.io/port"])
	require.Len(t, b.services, 1)
	service := b.services[0].Spec
	require.Equal(t, b.runs["console"].Spec.Selector.MatchLabels, service.Selector)
	require.Len(t, service.Ports, 1, "the endpoints of the operator are reached by the operator")
	require.Equal(t, "http", service.Ports[0].TargetPort.String())
	for _, e := range c.Env {
		if e.Name == "DATABASE_URL" {
			require.Contains(t, e.Value, "app_console@", "a login of its own")
		}
		require.NotContains(t, e.Name, "DEVELOPMENT")
	}
}

// The worker is asked where it listens, on a port that it names.
func TestProbesAndPorts(t *testing.T) {
	b := build(t)
	c := b.pods["worker"].Spec.Containers[0]
	require.Len(t, c.Ports, 1)
	port := strconv.Itoa(int(c.Ports[0].ContainerPort))
	require.Equal(t, []string{"--listen", ":" + port}, c.Args)
	for path, probe := range map[string]*corev1.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		require.Equal(t, path, probe.HTTPGet.Path)
	}
	require.Equal(t, "/livez", c.StartupProbe.HTTPGet.Path)
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		require.Equal(t, c.Ports[0].Name, probe.HTTPGet.Port.String())
	}
	annotations := b.pods["worker"].Annotations
	require.Equal(t, port, annotations["prometheus.io/port"])
	require.Equal(t, "/metrics", annotations["prometheus.io/path"])

	in, out := make(map[string]bool), make(map[string]bool)
	for _, p := range b.policies {
		require.ElementsMatch(t, []networkingv1.PolicyType{"Ingress", "Egress"}, p.Spec.PolicyTypes, p.Name)
		for _, rule := range p.Spec.Ingress {
			require.NotEmpty(t, rule.From, "%s lets everybody in", p.Name)
			for _, p := range rule.Ports {
				in[p.Port.String()] = true
			}
		}
		for _, rule := range p.Spec.Egress {
			for _, p := range rule.Ports {
				out[p.Port.String()] = true
			}
		}
	}
	require.Equal(t, map[string]bool{port: true, "8090": true, "8091": true}, in)
	database, err := url.Parse(b.config["DATABASE_URL"])
	require.NoError(t, err)
	_, temporal, err := net.SplitHostPort(b.config["TEMPORAL_ADDRESS"])
	require.NoError(t, err)
	for _, port := range []string{"53", "443", "465", "587", "4317", "4318", database.Port(), temporal} {
		require.True(t, out[port], "port %s is reached", port)
	}
}

// What chooses pods by their labels chooses those that are there.
func TestSelectors(t *testing.T) {
	b := build(t)
	chosen := func(s *metav1.LabelSelector) (names []string) {
		t.Helper()
		selector, err := metav1.LabelSelectorAsMap(s)
		require.NoError(t, err)
		require.NotEmpty(t, selector)
		for name, pod := range b.pods {
			matches := true
			for key, value := range selector {
				matches = matches && pod.Labels[key] == value
			}
			if matches {
				names = append(names, name)
			}
		}
		return names
	}
	policed := make(map[string]bool)
	for _, p := range b.policies {
		names := chosen(&p.Spec.PodSelector)
		require.NotEmpty(t, names, p.Name)
		for _, name := range names {
			policed[name] = true
		}
	}
	require.Len(t, policed, len(b.pods), "all are policed")
	require.Len(t, b.runs, 2)
	for name, run := range b.runs {
		require.Equal(t, []string{name}, chosen(run.Spec.Selector))
		budget := b.budgets["ledgerline-"+name]
		require.Equal(t, []string{name}, chosen(budget.Spec.Selector))
		for _, spread := range b.pods[name].Spec.TopologySpreadConstraints {
			require.Equal(t, []string{name}, chosen(spread.LabelSelector))
		}
		require.Greater(t, *run.Spec.Replicas, int32(budget.Spec.MaxUnavailable.IntValue()), "one %s is left when a node is emptied", name)
		require.Zero(t, run.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
	}
}

// A strict decoder that let everything pass would prove nothing.
func TestStrictIsStrict(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder, "worker.yaml"))
	require.NoError(t, err)
	for _, wrong := range [][2]string{{"replicas: 2", "replica: 2"}, {"  replicas: 2\n", "  replicas: 2\n  replicas: 2\n"}, {"failureThreshold: 3", "failureTreshold: 3"}, {"runAsNonRoot: true", "runAsNonRoot: 3"}} {
		changed := strings.Replace(string(text), wrong[0], wrong[1], 1)
		require.NotEqual(t, string(text), changed)
		require.Error(t, yaml.UnmarshalStrict([]byte(changed), new(appsv1.Deployment)), wrong[1])
	}
}
