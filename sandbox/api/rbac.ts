import { type JsonObject, objectAt, objectsAt, textAt, textsAt } from './json.ts';
import type { ApiRequest } from './request.ts';
import { ApiError } from './status.ts';
import type { User } from './users.ts';
import type { World } from './world.ts';

/** What someone wants to do, in the terms of authorization. */
export interface Attributes {
  readonly user: User;
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** Set for paths that are no resource, where all of the above but the verb are empty. */
  readonly path: string;
}

const RBAC = 'rbac.authorization.k8s.io';

/** Why something is allowed; undefined when no role allows it. */
export function allowedBy(world: World, wanted: Attributes): string | undefined {
  if (wanted.user.groups.includes('system:masters')) return '';
  for (const binding of world.store.list(`${RBAC}/clusterrolebindings`)) {
    const found = allowedThrough(world, binding, 'ClusterRoleBinding', wanted);
    if (found) return found;
  }
  if (wanted.namespace === '') return undefined;
  for (const binding of world.store.list(`${RBAC}/rolebindings`, wanted.namespace)) {
    const found = allowedThrough(world, binding, 'RoleBinding', wanted);
    if (found) return found;
  }
  return undefined;
}

/** All that somebody may do in a namespace, as a SelfSubjectRulesReview tells it. */
export function rulesFor(world: World, user: User, namespace: string): JsonObject {
  const bindings = [
    ...world.store.list(`${RBAC}/clusterrolebindings`),
    ...(namespace === '' ? [] : world.store.list(`${RBAC}/rolebindings`, namespace)),
  ].filter((binding) => objectsAt(binding, 'subjects').some((subject) => names(subject, user, binding)));
  const rules = bindings.flatMap((binding) => objectsAt(roleOf(world, binding, namespace), 'rules'));
  return {
    resourceRules: rules.filter((rule) => rule.resources !== undefined),
    nonResourceRules: rules.filter((rule) => rule.nonResourceURLs !== undefined),
  };
}

function roleOf(world: World, binding: JsonObject, namespace: string): JsonObject | undefined {
  const name = textAt(binding, 'roleRef', 'name') ?? '';
  return textAt(binding, 'roleRef', 'kind') === 'ClusterRole'
    ? world.store.get(`${RBAC}/clusterroles`, '', name)
    : world.store.get(`${RBAC}/roles`, namespace, name);
}

function allowedThrough(
  world: World,
  binding: JsonObject,
  kind: string,
  wanted: Attributes,
): string | undefined {
  const subject = objectsAt(binding, 'subjects').find((item) => names(item, wanted.user, binding));
  if (!subject) return undefined;
  const roleName = textAt(binding, 'roleRef', 'name') ?? '';
  const roleKind = textAt(binding, 'roleRef', 'kind') ?? '';
  const role = roleOf(world, binding, wanted.namespace);
  if (!objectsAt(role, 'rules').some((rule) => permits(rule, wanted))) return undefined;
  const namespace = textAt(binding, 'metadata', 'namespace');
  const name = textAt(binding, 'metadata', 'name') ?? '';
  const shown = namespace === undefined ? name : `${name}/${namespace}`;
  const who = `${subject.kind} "${subject.name}${subject.namespace ? `/${subject.namespace}` : ''}"`;
  return `RBAC: allowed by ${kind} "${shown}" of ${roleKind} "${roleName}" to ${who}`;
}

function names(subject: JsonObject, user: User, binding: JsonObject): boolean {
  if (subject.kind === 'User') return subject.name === user.name;
  if (subject.kind === 'Group') return user.groups.includes(String(subject.name));
  const namespace = textAt(subject, 'namespace') ?? textAt(binding, 'metadata', 'namespace') ?? '';
  return user.name === `system:serviceaccount:${namespace}:${subject.name}`;
}

function permits(rule: JsonObject, wanted: Attributes): boolean {
  const among = (list: string[], value: string) => list.includes('*') || list.includes(value);
  if (!among(textsAt(rule, 'verbs'), wanted.verb)) return false;
  if (wanted.path !== '') {
    return textsAt(rule, 'nonResourceURLs').some(
      (url) => url === wanted.path || (url.endsWith('*') && wanted.path.startsWith(url.slice(0, -1))),
    );
  }
  const { resource, subresource } = wanted;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  const resources = textsAt(rule, 'resources');
  const anySub = subresource !== '' && resources.includes(`*/${subresource}`);
  if (!among(textsAt(rule, 'apiGroups'), wanted.group)) return false;
  if (!among(resources, full) && !anySub) return false;
  const only = textsAt(rule, 'resourceNames');
  return only.length === 0 || only.includes(wanted.name);
}

export function attributesOf(request: ApiRequest, user: User): Attributes {
  const { target, verb, path } = request;
  if (!target) {
    const empty = { group: '', resource: '', subresource: '', namespace: '', name: '' };
    return { user, verb, path, ...empty };
  }
  const { type, namespace, subresource } = target;
  // A namespace's own path counts as inside of it.
  const within = type.kind === 'Namespace' && type.group === '' ? target.name : namespace;
  // A list narrowed to one name asks for that name only.
  const selected = /^metadata\.name=([^,!=]+)$/.exec(request.query.get('fieldSelector') ?? '')?.[1];
  const name = target.name !== '' ? target.name : (selected ?? '');
  return {
    user,
    verb,
    path: '',
    group: type.group,
    resource: type.plural,
    subresource,
    namespace: within,
    name,
  };
}

/** Lets through what a role allows. @throws ApiError 403 in the real server's words */
export function authorize(world: World, wanted: Attributes): void {
  if (allowedBy(world, wanted) !== undefined) return;
  const { user, verb, group, resource, subresource, namespace, name, path } = wanted;
  const who = `User ${JSON.stringify(user.name)}`;
  if (path !== '') {
    throw new ApiError(403, 'Forbidden', `forbidden: ${who} cannot ${verb} path ${JSON.stringify(path)}`, {});
  }
  const qualified = group === '' ? resource : `${resource}.${group}`;
  const subject =
    name === '' ? `${qualified} is forbidden` : `${qualified} ${JSON.stringify(name)} is forbidden`;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const message = `${subject}: ${who} cannot ${verb} resource ${JSON.stringify(full)} in API group ${JSON.stringify(group)} ${where}`;
  throw new ApiError(403, 'Forbidden', message, {
    ...(name === '' ? {} : { name }),
    ...(group === '' ? {} : { group }),
    kind: resource,
  });
}

/** The roles that the real server makes at its start, as far as users rely on them. */
export function bootstrapRoles(): Readonly<Record<string, JsonObject[]>> {
  const all = ['*'];
  const read = ['get', 'list', 'watch'];
  return {
    'cluster-admin': [
      { verbs: all, apiGroups: all, resources: all },
      { verbs: all, nonResourceURLs: all },
    ],
    view: [
      {
        verbs: read,
        apiGroups: [''],
        resources: ['configmaps', 'endpoints', 'events', 'namespaces', 'pods', 'services'],
      },
      { verbs: read, apiGroups: ['apps', 'batch', 'autoscaling', 'policy'], resources: all },
    ],
    'system:discovery': [
      {
        verbs: ['get'],
        nonResourceURLs: [
          '/api',
          '/api/*',
          '/apis',
          '/apis/*',
          '/healthz',
          '/livez',
          '/openapi',
          '/openapi/*',
          '/readyz',
          '/version',
          '/version/',
        ],
      },
    ],
    'system:basic-user': [
      {
        verbs: ['create'],
        apiGroups: ['authorization.k8s.io'],
        resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
      },
      { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
    ],
  };
}

/** Attributes as a SubjectAccessReview names them. */
export function reviewedAttributes(user: User, spec: JsonObject): Attributes {
  const asked = objectAt(spec, 'resourceAttributes');
  const text = (name: string) => textAt(asked, name) ?? '';
  const path = textAt(spec, 'nonResourceAttributes', 'path') ?? '';
  return {
    user,
    verb: path === '' ? text('verb') : (textAt(spec, 'nonResourceAttributes', 'verb') ?? ''),
    group: text('group'),
    resource: text('resource'),
    subresource: text('subresource'),
    namespace: text('namespace'),
    name: text('name'),
    path,
  };
}
