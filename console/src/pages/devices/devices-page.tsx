/** The page Devices: those of one application, or one device. */
import { useEffect, useState } from "preact/hooks";
import { type Applications, useApplications } from "../../applications";
import { curl, Empty } from "../../parts/list";
import { useStatusLine } from "../../parts/status-line";
import { goTo } from "../../routes";
import { showText } from "../../show-text";
import { DeviceList } from "./device-list";
import { DevicePage } from "./device-page";
import { NewApplication } from "./new-application";
import "./devices.css";

/** The page Devices: `#/devices/{application}` is its list, `#/devices/{application}/{device}` one of them. */
export default function DevicesPage({ path }: { path: readonly string[] }) {
  const [named, device] = path;
  const applications = useApplications(named === undefined ? [] : [named]);
  const application = named ?? applications.list?.[0]?.id;
  if (application !== undefined && device !== undefined) {
    return <DevicePage key={device} application={application} id={device} />;
  }
  return (
    <>
      <h1>Devices</h1>
      <p class="muted">
        The devices that are paired with one application. An application is what devices pair with,
        such as one gateway.
      </p>
      {applications.error && (
        <p class="problem" role="alert">
          {applications.error}{" "}
          <button type="button" onClick={() => void applications.load()}>
            Try again
          </button>
        </p>
      )}
      <ChooseApplication applications={applications} chosen={application} />
      {application !== undefined && <DeviceList key={application} application={application} />}
    </>
  );
}

interface ChooseProps {
  applications: Applications;
  chosen: string | undefined;
}

function ChooseApplication({ applications, chosen }: ChooseProps) {
  const { list = [] } = applications;
  const [creating, setCreating] = useState(false);
  const { line, say } = useStatusLine();
  const none = applications.list?.length === 0;
  useEffect(() => {
    if (none) setCreating(true);
  }, [none]);
  const created = async (id: string, name: string) => {
    await applications.load();
    setCreating(false);
    goTo("devices", id);
    say(`The application ${name} is there.`);
  };
  return (
    <>
      {line}
      {none && (
        <Empty call={curl("POST", "/v1/applications", { name: "Gateway" })}>
          There is no application yet. Make one here, or with this call:
        </Empty>
      )}
      <div class="filters">
        {list.length > 0 && (
          <label>
            Application
            <select value={chosen} onChange={(event) => goTo("devices", event.currentTarget.value)}>
              {chosen !== undefined && !list.some(({ id }) => id === chosen) && (
                <option value={chosen}>{chosen}</option>
              )}
              {list.map(({ id, name }) => (
                <option key={id} value={id}>
                  {showText(name)}
                </option>
              ))}
            </select>
          </label>
        )}
        {!creating && applications.list && (
          <button type="button" onClick={() => setCreating(true)}>
            New application …
          </button>
        )}
      </div>
      {creating && (
        <NewApplication created={created} cancel={none ? undefined : () => setCreating(false)} />
      )}
    </>
  );
}
