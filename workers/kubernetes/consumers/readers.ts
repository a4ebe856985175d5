/** Who may read a Secret by RBAC, decided from the objects alone (https://kubernetes.io/docs/reference/access-authn-authz/rbac/). */

export interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly verbs?: readonly string[];
  readonly resourceNames?: readonly string[];
}

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Role {
  readonly metadata: Metadata;
  readonly rules?: readonly Rule[] | null;
  readonly aggregationRule?: {
    readonly clusterRoleSelectors?: readonly { readonly matchLabels?: Readonly<Record<string, string>> }[];
  };
}

export interface Binding {
  readonly metadata: Metadata;
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
  }[];
}

export interface Rbac {
  readonly roles: readonly Role[];
  readonly clusterRoles: readonly Role[];
  readonly roleBindings: readonly Binding[];
  readonly clusterRoleBindings: readonly Binding[];
}

/** Somebody who may read the Secret itself. */
export interface SecretReader {
  /** `User alice`, `Group ops`, `ServiceAccount shop/web`. */
  readonly subject: string;
  /** Of get, list and watch: each gives the content. */
  readonly verbs: readonly string[];
  /** `RoleBinding shop/readers to Role readers`. */
  readonly through: string;
}

/** How many more come by the content in another way; those who may read it anyway are not counted again. */
export interface IndirectReaders {
  /** May make pods in the namespace, or what makes them, and so mount the Secret. */
  readonly mount: number;
  /** May run a command in a pod that has it. */
  readonly exec: number;
  /** May act as others, or make tokens of ServiceAccounts. */
  readonly impersonate: number;
  /** May give themselves roles that they don't have. */
  readonly escalate: number;
}

export interface BlastRadius {
  readonly readers: readonly SecretReader[];
  readonly indirect: IndirectReaders;
}

interface Asked {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
  readonly name?: string;
}

const RBAC = 'rbac.authorization.k8s.io';
const MAKE = ['create', 'update', 'patch'];
const INDIRECT: Readonly<Record<keyof IndirectReaders, readonly Asked[]>> = {
  mount: [
    { group: '', resource: 'pods', verbs: ['create'] },
    { group: '', resource: 'replicationcontrollers', verbs: MAKE },
    ...['deployments', 'statefulsets', 'daemonsets', 'replicasets'].map((resource) => ({
      group: 'apps',
      resource,
      verbs: MAKE,
    })),
    ...['jobs', 'cronjobs'].map((resource) => ({ group: 'batch', resource, verbs: MAKE })),
  ],
  exec: [
    { group: '', resource: 'pods/exec', verbs: ['create', 'get'] },
    { group: '', resource: 'pods/attach', verbs: ['create', 'get'] },
    { group: '', resource: 'pods/ephemeralcontainers', verbs: ['update', 'patch'] },
  ],
  impersonate: [
    ...['users', 'groups', 'serviceaccounts'].map((resource) => ({
      group: '',
      resource,
      verbs: ['impersonate'],
    })),
    { group: '', resource: 'serviceaccounts/token', verbs: ['create'] },
  ],
  escalate: [
    ...['roles', 'clusterroles'].map((resource) => ({ group: RBAC, resource, verbs: ['escalate', 'bind'] })),
  ],
};

/** Everybody to whom a role gives the Secret, directly by name and verb, and indirectly as a count. */
export function blastRadiusOf(
  rbac: Rbac,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): BlastRadius {
  const readers: SecretReader[] = [];
  const direct = new Set<string>();
  const indirect = {
    mount: new Set<string>(),
    exec: new Set<string>(),
    impersonate: new Set<string>(),
    escalate: new Set<string>(),
  };
  const secret: Asked = { group: '', resource: 'secrets', verbs: ['get', 'list', 'watch'], name };
  for (const { rules, subjects, through } of grantsIn(rbac, namespace)) {
    const verbs = secret.verbs.filter((verb) => rules.some((rule) => permits(rule, secret, verb)));
    const ways = (Object.keys(INDIRECT) as (keyof IndirectReaders)[]).filter((way) =>
      INDIRECT[way].some((asked) =>
        asked.verbs.some((verb) => rules.some((rule) => permits(rule, asked, verb))),
      ),
    );
    for (const subject of subjects) {
      for (const way of ways) indirect[way].add(subject);
      if (verbs.length === 0) continue;
      direct.add(subject);
      readers.push({ subject, verbs, through });
    }
  }
  const others = (way: keyof IndirectReaders) =>
    [...indirect[way]].filter((each) => !direct.has(each)).length;
  return {
    readers: readers.sort((a, b) => (`${a.subject} ${a.through}` < `${b.subject} ${b.through}` ? -1 : 1)),
    indirect: {
      mount: others('mount'),
      exec: others('exec'),
      impersonate: others('impersonate'),
      escalate: others('escalate'),
    },
  };
}

interface Grant {
  readonly rules: readonly Rule[];
  readonly subjects: readonly string[];
  readonly through: string;
}

function grantsIn(rbac: Rbac, namespace: string): readonly Grant[] {
  const clusterRoles = new Map(rbac.clusterRoles.map((role) => [role.metadata.name, role]));
  const everywhere = rbac.clusterRoleBindings.map((binding) => ({ binding, kind: 'ClusterRoleBinding' }));
  const here = rbac.roleBindings
    .filter(({ metadata }) => metadata.namespace === namespace)
    .map((binding) => ({ binding, kind: 'RoleBinding' }));
  return [...everywhere, ...here].map(({ binding, kind }): Grant => {
    const { roleRef, metadata, subjects = [] } = binding;
    const role =
      roleRef.kind === 'ClusterRole'
        ? clusterRoles.get(roleRef.name)
        : rbac.roles.find(
            (each) => each.metadata.name === roleRef.name && each.metadata.namespace === namespace,
          );
    const place = metadata.namespace === undefined ? '' : `${metadata.namespace}/`;
    return {
      rules: role ? rulesOf(role, rbac.clusterRoles) : [],
      subjects: subjects.map((subject) =>
        subject.kind === 'ServiceAccount'
          ? `ServiceAccount ${subject.namespace ?? metadata.namespace}/${subject.name}`
          : `${subject.kind} ${subject.name}`,
      ),
      through: `${kind} ${place}${metadata.name} to ${roleRef.kind} ${roleRef.name}`,
    };
  });
}

/** An aggregated role has the rules of those that it selects; a controller writes them down a moment later. */
function rulesOf(role: Role, all: readonly Role[], seen: ReadonlySet<Role> = new Set()): readonly Rule[] {
  if (seen.has(role)) return [];
  const selected = (role.aggregationRule?.clusterRoleSelectors ?? []).flatMap(({ matchLabels = {} }) =>
    all.filter(({ metadata }) =>
      Object.entries(matchLabels).every(([key, value]) => metadata.labels?.[key] === value),
    ),
  );
  const met = new Set([...seen, role]);
  return [...(role.rules ?? []), ...selected.flatMap((each) => rulesOf(each, all, met))];
}

/** `resourceNames` count for list and watch too: narrowed to that one name they are allowed, and give its content. */
function permits(
  { apiGroups = [], resources = [], verbs = [], resourceNames = [] }: Rule,
  { group, resource, name }: Asked,
  verb: string,
): boolean {
  const among = (list: readonly string[], value: string) => list.includes('*') || list.includes(value);
  const sub = resource.split('/')[1];
  return (
    among(verbs, verb) &&
    among(apiGroups, group) &&
    (among(resources, resource) || (sub !== undefined && resources.includes(`*/${sub}`))) &&
    (resourceNames.length === 0 || name === undefined || resourceNames.includes(name))
  );
}
