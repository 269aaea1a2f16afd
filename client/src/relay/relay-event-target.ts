/** An EventTarget whose events are those of a relay connection, with their types. */
import type { RelayEvent, RelayEvents } from "./events.js";

export class RelayEventTarget<Received> extends EventTarget {
  /** As every EventTarget's, with the fields of the event's type. */
  override addEventListener<Type extends keyof RelayEvents<Received>>(
    type: Type,
    listener: (event: RelayEvent<Received, Type>) => void,
    options?: AddEventListenerOptions | boolean,
  ): void {
    super.addEventListener(type, listener as (event: Event) => void, options);
  }

  /** As every EventTarget's. */
  override removeEventListener<Type extends keyof RelayEvents<Received>>(
    type: Type,
    listener: (event: RelayEvent<Received, Type>) => void,
    options?: EventListenerOptions | boolean,
  ): void {
    super.removeEventListener(type, listener as (event: Event) => void, options);
  }

  protected emit<Type extends keyof RelayEvents<Received>>(
    type: Type,
    fields: RelayEvents<Received>[Type],
  ): void {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }
}
