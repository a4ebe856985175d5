import { z } from 'zod';
import { awsFields } from '../../core/aws/spec.ts';
import { duration } from '../../core/duration-schema.ts';
import { passwordRules } from '../../core/password.ts';

const text = z.string().min(1).max(2_048);
const file = z.string().min(1);
/** By these a program loads code that nobody has allowed, finds another Secrets Manager, or trusts others on the way there. */
const NOT_OURS =
  /^(AWS_|ROTOR_|SECRETS_MANAGER_ENDPOINT$|LD_|DYLD_|GCONV_|PYTHON|NODE_|PERL|RUBY|GEM_|JAVA_|JDK_|BASH|ENV$|IFS$|PATH$|HOME$|SHELL|GLIBC_TUNABLES$|REQUESTS_CA_BUNDLE$|CURL_|SSL_CERT_|SSLKEYLOGFILE$|(HTTPS?|ALL|NO|FTP|SOCKS[45]?)_PROXY$)/i;
const environment = z
  .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string())
  .refine((given) => !Object.keys(given).some((name) => NOT_OURS.test(name)), {
    message:
      'must not set AWS_*, ROTOR_*, SECRETS_MANAGER_ENDPOINT, a proxy, trusted authorities, or what makes a program load other code',
  })
  .default({})
  .describe('Further variables, such as EXCLUDE_CHARACTERS; never a secret');
const memory = z
  .int()
  .min(32)
  .max(65_536)
  .default(1_024)
  .describe('MiB of address space for each of its processes');

const lambda = z
  .strictObject({
    name: text.describe('Name or ARN'),
    qualifier: z.string().min(1).max(128).optional(),
    region: awsFields.region,
    endpoint: z.url().optional().describe("Where Lambda's API is, when not at AWS"),
    profile: awsFields.profile.describe("Profile of the workers' shared configuration files"),
    roleArn: awsFields.roleArn.describe('Role to assume for it'),
    externalId: awsFields.externalId.describe("Asked for by the role's trust policy"),
  })
  .describe('A function of AWS Lambda, or of anything that speaks its Invoke API');

const http = z
  .strictObject({
    url: z.url({ protocol: /^https?$/ }),
    form: z.enum(['json', 'cloudevents']).default('json').describe('How the event is sent'),
    tokenFile: file.optional().describe('File with the token for `Authorization: Bearer`'),
  })
  .describe('A function behind an HTTP address');

const command = z
  .strictObject({
    run: z.tuple([text], text).describe('Program and arguments; the event comes on standard input'),
    environment,
    memory,
  })
  .describe('A program on the machine of the workers');

const python = z
  .strictObject({
    file: text.describe('Module of the function, absolute'),
    handler: z
      .string()
      .regex(/^[A-Za-z_]\w*$/)
      .default('lambda_handler'),
    interpreter: text.default('/usr/bin/python3'),
    environment,
    memory,
  })
  .describe('A Lambda handler in Python on the machine of the workers');

/** Schema of `Provider.spec.function`. */
export const providerSpec = z
  .strictObject({
    lambda: lambda.optional(),
    http: http.optional(),
    command: command.optional(),
    python: python.optional(),
    timeout: duration({ min: 100, max: 900_000 }).default(30_000).describe('For one step'),
    signingKeyFile: file
      .optional()
      .describe('JSON {"accessKeyId","secretAccessKey"}: what a function elsewhere signs with'),
    adminSecretFile: file.optional().describe('JSON document of the secret that `masterarn` names'),
  })
  .refine(
    ({ lambda, http, command, python }) => [lambda, http, command, python].filter(Boolean).length === 1,
    {
      message: 'needs exactly one of `lambda`, `http`, `command` and `python`',
    },
  )
  .refine(({ signingKeyFile, command, python }) => !signingKeyFile || (!command && !python), {
    path: ['signingKeyFile'],
    message: 'has no use for a program here: it gets a key of its own for each step',
  });
export type ProviderSpec = z.output<typeof providerSpec>;
export type LambdaSpec = NonNullable<ProviderSpec['lambda']>;
export type HttpSpec = NonNullable<ProviderSpec['http']>;

const identity = z.string().min(1).max(128).default('username').describe('Field that names the credential');
const secrets = z
  .array(z.string().min(1).max(128))
  .min(1)
  .max(20)
  .default(['password'])
  .describe('Secret fields, the one that leaks are recognised by first');
/** Where the function works on AWS Secrets Manager itself, Rotor makes the value. */
const direct = {
  secretId: text
    .optional()
    .describe(
      'The secret in AWS Secrets Manager, where the function works on it with its own role and Rotor serves it nothing',
    ),
  password: passwordRules.prefault({}).describe('With `secretId`: how Rotor makes the value'),
};

const singleUser = z.strictObject({
  mode: z.literal('single-user'),
  acknowledgeNoOverlap: z
    .literal(true)
    .describe('New logins with the old secret are refused between setSecret and the reload of each consumer'),
  identity,
  secrets,
  ...direct,
});

const alternatingUsers = z.strictObject({
  mode: z.literal('alternating-users'),
  identity,
  secrets,
  ...direct,
});

const newKey = z.strictObject({
  mode: z.literal('new-key'),
  revokeStep: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9]{0,63}$/)
    .optional()
    .describe('Step of the function beyond those of AWS that kills the version named by ClientRequestToken'),
  identity,
  secrets,
});

/** Schema of `RotationPolicy.spec.credential.function`. */
export const credentialSpec = z.discriminatedUnion('mode', [singleUser, alternatingUsers, newKey]);
export type CredentialSpec = z.output<typeof credentialSpec>;
