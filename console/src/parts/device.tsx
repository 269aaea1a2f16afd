/** What identifies a device, and what it may do, as a person should see it. */
import { Untrusted } from "./text";

/** A fingerprint in two groups of four, to be compared with what the device shows. */
export function Fingerprint({ text }: { text: string }) {
  return (
    <code class="fingerprint">
      {text.match(/.{1,4}/gu)?.map((group, index) => (
        <span key={index}>{group}</span>
      ))}
    </code>
  );
}

/** Scopes, one after the other. */
export function Scopes({ scopes }: { scopes: readonly string[] }) {
  if (scopes.length === 0) return <span class="muted">no scopes</span>;
  return (
    <>
      {scopes.map((scope, index) => (
        <span key={scope}>
          {index > 0 && ", "}
          <code>
            <Untrusted text={scope} />
          </code>
        </span>
      ))}
    </>
  );
}

/** What a device says of itself, in a request and once it is paired. */
interface Profile {
  platform: string;
  device_family: string;
  client_id: string;
  client_mode: string;
}

/** Its platform and its program, as facts of a list. */
export function ProfileFacts({ device }: { device: Profile }) {
  const { platform, device_family, client_id, client_mode } = device;
  return (
    <>
      <dt>Platform</dt>
      <dd>
        <Untrusted text={[platform, device_family].filter(Boolean).join(", ")} />
      </dd>
      <dt>Program</dt>
      <dd>
        <Untrusted text={[client_id, client_mode].filter(Boolean).join(", ")} />
      </dd>
    </>
  );
}

/** What the operators call a device, or what it calls itself. */
export function DeviceName({ label, name }: { label?: string | null; name: string }) {
  const text = label || name;
  return text === "" ? <>A device without a name</> : <Untrusted text={text} />;
}
