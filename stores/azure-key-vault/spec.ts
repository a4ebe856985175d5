import { z } from 'zod';

/** What Key Vault takes as a value, in bytes ("25k bytes"; Microsoft's page "About Azure Key Vault secrets"). */
export const MAX_BYTES = 25_000;

/** `spec.azureKeyVault` of a Store manifest. */
export const keyVaultSpec = z.strictObject({
  /** Address of the vault. Authorities of your own: NODE_EXTRA_CA_CERTS. */
  vaultUrl: z
    .string()
    .refine(isVaultUrl, { error: 'needs an address such as "https://shop.vault.azure.net", without a path' }),
  /** Put before every name: `prod-` and `shop/app` are the secret `prod-shop--app`. */
  prefix: z
    .string()
    .max(40)
    .regex(/^([0-9A-Za-z]+(-{1,2}[0-9A-Za-z]+)*-{0,2})?$/, 'needs letters, digits and "-"')
    .default(''),
  /** Whether a secret that isn't there is made. */
  create: z.boolean().default(false),
  /** Tenant of the identity, where it isn't the one in the workers' environment. */
  tenantId: z.string().min(1).max(100).optional(),
  /** Client id of a user-assigned managed identity or of a workload identity. It is no secret. */
  clientId: z.string().min(1).max(100).optional(),
});

export type KeyVaultSpec = z.infer<typeof keyVaultSpec>;

/** Whether the vault is on this machine: a double, since no vault of Azure is. */
export function isLoopback(vaultUrl: string): boolean {
  return ['127.0.0.1', '[::1]', 'localhost'].includes(new URL(vaultUrl).hostname);
}

function isVaultUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.username || url.password) return false;
  return url.pathname === '/' && url.search === '' && url.hash === '';
}
