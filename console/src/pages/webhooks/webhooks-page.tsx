/** The page Webhooks: which part of it the address names. */
import { filterOf } from "../../filter-address";
import { Tabs } from "../../parts/tabs";
import { DeliveriesOfAll } from "./deliveries";
import { Endpoints } from "./endpoints";
import { OneDelivery } from "./one-delivery";
import { OneEndpoint } from "./one-endpoint";
import "./webhooks.css";

/**
 * `#/webhooks`, `#/webhooks/{endpoint}`, `#/webhooks/{endpoint}/recoveries/{id}`, `#/webhooks/deliveries`,
 * `#/webhooks/deliveries/filter/{filters}`, `#/webhooks/deliveries/{id}`.
 */
export default function WebhooksPage({ path }: { path: readonly string[] }) {
  const [first, second, third] = path;
  if (first === "deliveries" && second !== undefined && second !== "filter") {
    return <OneDelivery id={second} />;
  }
  if (first !== undefined && first !== "deliveries") {
    return <OneEndpoint key={first} id={first} recovery={third ?? null} />;
  }
  return (
    <>
      <h1>Webhooks</h1>
      <Tabs
        label="Parts of this page"
        tabs={[
          { title: "Endpoints", to: ["webhooks"], current: first === undefined },
          {
            title: "Deliveries",
            to: ["webhooks", "deliveries"],
            current: first === "deliveries",
          },
        ]}
      />
      {first === undefined ? (
        <Endpoints />
      ) : (
        <DeliveriesOfAll
          filters={{
            status: filterOf(third, "status"),
            event_type: filterOf(third, "event_type"),
            endpoint: filterOf(third, "endpoint"),
            event: filterOf(third, "event"),
          }}
        />
      )}
    </>
  );
}
