/**
 * How a pod comes by what a Secret holds, by when it is read:
 * - `env`, `envFrom`, `subPath`: once, at the start of the container;
 * - `volume`: the file changes in the running pod within a minute or two, whether the program looks again or not;
 * - `mount`: by a volume driver, when the pod starts;
 * - `imagePullSecret`: by the kubelet when it pulls; the program never sees it.
 */
export type ReadBy = 'env' | 'envFrom' | 'volume' | 'subPath' | 'mount' | 'imagePullSecret';

export interface SecretReference {
  /** Name of the Secret, in the pod's own namespace: others can't be named. */
  readonly secret: string;
  readonly by: ReadBy;
  /** `container web`, `init container migrate`, `volume certs`, for people; empty for an imagePullSecret. */
  readonly where: string;
}

interface Named {
  readonly name?: string;
}

interface Container extends Named {
  readonly env?: readonly { readonly valueFrom?: { readonly secretKeyRef?: Named } }[];
  readonly envFrom?: readonly { readonly secretRef?: Named }[];
  readonly volumeMounts?: readonly {
    readonly name?: string;
    readonly subPath?: string;
    readonly subPathExpr?: string;
  }[];
}

interface Volume extends Named {
  readonly secret?: { readonly secretName?: string };
  readonly projected?: { readonly sources?: readonly { readonly secret?: Named }[] };
  readonly [driver: string]: unknown;
}

/** The part of a PodSpec that can name Secrets. */
export interface PodSpec {
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly imagePullSecrets?: readonly Named[];
}

/** Every Secret that pods of this template read, each way once; ephemeral containers are not part of a template. */
export function referencesOf(spec: PodSpec | undefined): readonly SecretReference[] {
  if (!spec) return [];
  const containers = [
    ...(spec.containers ?? []).map((each) => ({ ...each, where: `container ${each.name ?? ''}` })),
    ...(spec.initContainers ?? []).map((each) => ({ ...each, where: `init container ${each.name ?? ''}` })),
  ];
  const found: SecretReference[] = [];
  const add = (secret: string | undefined, by: ReadBy, where: string) => {
    const known = found.some((each) => each.secret === secret && each.by === by && each.where === where);
    if (secret && !known) found.push({ secret, by, where });
  };
  for (const { env = [], envFrom = [], where } of containers) {
    for (const { valueFrom } of env) add(valueFrom?.secretKeyRef?.name, 'env', where);
    for (const { secretRef } of envFrom) add(secretRef?.name, 'envFrom', where);
  }
  for (const volume of spec.volumes ?? []) {
    const mounts = containers.flatMap(({ volumeMounts = [], where }) =>
      volumeMounts.filter(({ name }) => name === volume.name).map((mount) => ({ ...mount, where })),
    );
    for (const secret of secretsOfVolume(volume)) {
      // A mounted sub-path is a copy made at the start: the kubelet never updates it.
      for (const { where } of mounts.filter(({ subPath, subPathExpr }) => subPath || subPathExpr))
        add(secret, 'subPath', where);
      const whole =
        mounts.length === 0 || mounts.some(({ subPath, subPathExpr }) => !subPath && !subPathExpr);
      if (whole) add(secret, 'volume', `volume ${volume.name ?? ''}`);
    }
    for (const secret of secretsOfDriver(volume)) add(secret, 'mount', `volume ${volume.name ?? ''}`);
  }
  for (const { name } of spec.imagePullSecrets ?? []) add(name, 'imagePullSecret', '');
  return found;
}

/** Whether a running pod keeps the old content, or may: then only a new one is proven to have the new. */
export function needsRestart(references: readonly { readonly by: ReadBy }[]): boolean {
  return references.some(({ by }) => by !== 'imagePullSecret');
}

function secretsOfVolume({ secret, projected }: Volume): readonly string[] {
  const sources = (projected?.sources ?? []).map((source) => source.secret?.name);
  return [secret?.secretName, ...sources].filter((name) => name !== undefined);
}

/** `csi.nodePublishSecretRef`, `azureFile.secretName`, and `secretRef` of cephfs, flexVolume, iscsi, rbd, scaleIO, ... */
function secretsOfDriver({
  name: _name,
  secret: _secret,
  projected: _projected,
  ...drivers
}: Volume): string[] {
  return Object.values(drivers).flatMap((driver) => {
    if (typeof driver !== 'object' || driver === null) return [];
    const { secretRef, nodePublishSecretRef, secretName } = driver as {
      secretRef?: Named;
      nodePublishSecretRef?: Named;
      secretName?: string;
    };
    return [secretRef?.name, nodePublishSecretRef?.name, secretName].filter((each) => each !== undefined);
  });
}
