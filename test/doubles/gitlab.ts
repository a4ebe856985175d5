import { type DoubleAnswer, type DoubleRequest, HttpDouble, objectIn } from './http-double.ts';

interface Variable {
  key: string;
  value: string;
  variable_type: string;
  protected: boolean;
  masked: boolean;
  hidden: boolean;
  raw: boolean;
  environment_scope: string;
  description: string | null;
}

const MASKED_AND_RAW = /^\S{8,}$/;
const MASKED = /^[a-zA-Z0-9_+=/@:.~-]{8,}$/;

/**
 * A double of GitLab's REST API as far as CI/CD variables of one project and one group go, written to its documentation
 * (project_level_variables, group_level_variables, the `filter` parameter). It is not GitLab.
 */
export class GitlabDouble extends HttpDouble {
  readonly token: string;
  readonly variables: Variable[] = [];
  /** Whether the token's role is enough. */
  allowed = true;

  constructor(token: string) {
    super();
    this.token = token;
  }

  find(key: string, scope = '*'): Variable | undefined {
    return this.variables.find((each) => each.key === key && each.environment_scope === scope);
  }

  protected usual({ method, path, query, headers, body }: DoubleRequest): DoubleAnswer {
    if (headers['private-token'] !== this.token) return says(401, '401 Unauthorized');
    const [, kind, place, , key] =
      /^\/api\/v4\/(projects|groups)\/([^/]+)\/variables(\/([^/]+))?$/.exec(path) ?? [];
    if (kind === undefined) return says(404, '404 Not Found');
    if (decodeURIComponent(place ?? '') !== (kind === 'projects' ? 'shop/orders' : 'shop'))
      return says(404, kind === 'projects' ? '404 Project Not Found' : '404 Group Not Found');
    if (!this.allowed) return says(403, '403 Forbidden');
    const sent = objectIn(body) ?? {};
    if (key === undefined) {
      if (method === 'GET') return { status: 200, body: this.variables.map(shown) };
      return method === 'POST' ? this.#create(sent) : says(405, '405 Not Allowed');
    }
    const scope = query.get('filter[environment_scope]');
    const found = this.variables.filter(
      (each) => each.key === key && (scope === null || each.environment_scope === scope),
    );
    if (found.length > 1)
      return says(
        409,
        "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'.",
      );
    const [variable] = found;
    if (!variable) return says(404, '404 Variable Not Found');
    if (method === 'GET') return { status: 200, body: shown(variable) };
    if (method !== 'PUT') return says(405, '405 Not Allowed');
    return this.#save({ ...variable, ...known(sent) }, () => Object.assign(variable, known(sent)), 200);
  }

  #create(sent: Record<string, unknown>): DoubleAnswer {
    const hidden = sent.masked_and_hidden === true;
    const made: Variable = {
      key: '',
      value: '',
      variable_type: 'env_var',
      protected: false,
      masked: hidden,
      hidden,
      raw: false,
      environment_scope: '*',
      description: null,
      ...known(sent),
      ...(hidden ? { masked: true } : {}),
    };
    if (this.find(made.key, made.environment_scope))
      return { status: 400, body: { message: { key: [`(${made.key}) has already been taken`] } } };
    return this.#save(made, () => this.variables.push(made), 201);
  }

  #save(wanted: Variable, save: () => unknown, status: number): DoubleAnswer {
    const problem =
      wanted.value.length > 10_000
        ? 'is too long (maximum is 10000 characters)'
        : wanted.masked && !(wanted.raw ? MASKED_AND_RAW : MASKED).test(wanted.value)
          ? 'is invalid'
          : undefined;
    if (problem) return { status: 400, body: { message: { value: [problem] } } };
    save();
    return { status, body: shown(wanted) };
  }
}

const FIELDS = [
  'key',
  'value',
  'variable_type',
  'protected',
  'masked',
  'raw',
  'environment_scope',
  'description',
];

function known(sent: Record<string, unknown>): Partial<Variable> {
  return Object.fromEntries(Object.entries(sent).filter(([name]) => FIELDS.includes(name)));
}

function shown(variable: Variable): object {
  return { ...variable, value: variable.hidden ? null : variable.value };
}

function says(status: number, message: string): DoubleAnswer {
  return { status, body: { message } };
}
