import type { Delivery } from './delivery.ts';
import { fileDelivery } from './file/delivery.ts';

/** Every delivery there is. A new one is a folder, a line here, and a scenario in the conformance kit. */
export const deliveries: readonly Delivery[] = [fileDelivery];
