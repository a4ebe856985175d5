/** One client per spec for as long as the process lives: credentials are fetched once, connections stay open. */
export function clientsOf<Spec extends object, Client>(
  make: (spec: Spec) => Promise<Client>,
): (spec: Spec) => Promise<Client> {
  const made = new Map<string, Promise<Client>>();
  return (spec) => {
    const key = JSON.stringify(spec);
    const client = made.get(key) ?? make(spec);
    made.set(key, client);
    client.catch(() => made.delete(key));
    return client;
  };
}
