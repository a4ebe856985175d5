import { isObject, type JsonObject, objectAt, objectsAt, textAt } from './json.ts';

/** Sets the fields that are missing. */
export function fill(target: JsonObject, defaults: JsonObject): void {
  for (const [name, value] of Object.entries(defaults)) {
    if (target[name] === undefined || target[name] === null) target[name] = structuredClone(value);
  }
}

/** Fills in a pod spec as it is in pods and in the templates of workloads. */
export function podSpecDefaults(spec: JsonObject): void {
  fill(spec, {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
  });
  // The old name of the field is kept beside the new one.
  if (spec.serviceAccountName !== undefined) spec.serviceAccount = spec.serviceAccountName;
  else if (spec.serviceAccount !== undefined) spec.serviceAccountName = spec.serviceAccount;
  for (const container of [...objectsAt(spec, 'initContainers'), ...objectsAt(spec, 'containers')]) {
    containerDefaults(container);
  }
  for (const volume of objectsAt(spec, 'volumes')) volumeDefaults(volume);
}

function containerDefaults(container: JsonObject): void {
  const image = textAt(container, 'image') ?? '';
  fill(container, {
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: hasOtherTag(image) ? 'IfNotPresent' : 'Always',
  });
  for (const port of objectsAt(container, 'ports')) fill(port, { protocol: 'TCP' });
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[name];
    if (isObject(probe)) probeDefaults(probe);
  }
  for (const variable of objectsAt(container, 'env')) {
    const from = objectAt(variable, 'valueFrom', 'fieldRef');
    if (from.fieldPath !== undefined) fill(from, { apiVersion: 'v1' });
    // An empty value is not kept, as the real type leaves it out.
    if (variable.value === '') delete variable.value;
  }
}

/** An image without a tag, or with `latest`, is pulled each time. */
function hasOtherTag(image: string): boolean {
  if (image.includes('@')) return true;
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  return tag !== undefined && tag !== 'latest';
}

function probeDefaults(probe: JsonObject): void {
  fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 });
  if (isObject(probe.httpGet)) fill(probe.httpGet, { path: '/', scheme: 'HTTP' });
  if (isObject(probe.grpc)) fill(probe.grpc, { service: '' });
}

const FILE_MODE = 0o644;

function volumeDefaults(volume: JsonObject): void {
  for (const name of ['secret', 'configMap', 'projected', 'downwardAPI']) {
    const source = volume[name];
    if (isObject(source)) fill(source, { defaultMode: FILE_MODE });
  }
  for (const source of objectsAt(volume, 'projected', 'sources')) {
    if (isObject(source.serviceAccountToken)) fill(source.serviceAccountToken, { expirationSeconds: 3600 });
  }
  if (isObject(volume.hostPath)) fill(volume.hostPath, { type: '' });
}
