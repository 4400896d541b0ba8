/** What AWS serves, as the survey found it: endpoints, variants, alarms, drift and cost. */
import { Badge, Box, Heading, HStack, Link, Stack, Table, Text } from "@chakra-ui/react";
import { useId } from "react";

import type { Costs, Served, ServedVariant, Survey } from "./client";
import { moment, percent, releaseName } from "./format";
import { Age, Heads, Wide } from "./parts";

const FIRING = "ALARM";

/** Write an estimate in US dollars: small sums with more digits, because some instances cost a few cents. */
const about = (sum: number) => `about $${sum.toFixed(sum < 0.1 ? 3 : 2)}`;

const instances = (one: ServedVariant) =>
  one.instances === one.wanted_instances ? String(one.instances) : `${one.instances} of ${one.wanted_instances}`;

/** How old the facts of AWS are; if they are old or missing, what to do. */
export const SurveyNote = ({ now, survey }: { now: string; survey: Survey }) => (
  <Box mb={2}>
    {survey.at ? (
      <Text color="fg.muted" fontSize="sm">
        AWS as it was <Age at={survey.at} now={now} />
      </Text>
    ) : undefined}
    {survey.say ? (
      <Box bg="bg.warning" borderRadius="md" my={2} overflowWrap="anywhere" p={3} role="status">
        {survey.say}
      </Box>
    ) : undefined}
  </Box>
);

/** What all endpoints together cost. */
export const TotalCost = ({ costs }: { costs: Costs }) => {
  const types = costs.unknown.join(", ");
  const sum = `All endpoints: ${about(costs.an_hour)} an hour, estimated from price lists of ${costs.date}; `;
  const unknown = `What all endpoints cost is not known: the price lists of ${costs.date} here are without ${types}; `;
  return (
    <Text color="fg.muted" fontSize="sm">
      {types && costs.an_hour === 0 ? unknown : sum}
      <Link color="fg.info" href={costs.source} rel="noopener noreferrer" target="_blank" textDecoration="underline">
        AWS's page
      </Link>
      {" decides"}
      {types && costs.an_hour > 0 ? `; without ${types}, which have no price here` : ""}
    </Text>
  );
};

const firing = (served: Served) => served.alarms.filter((alarm) => alarm.state === FIRING);

const Troubles = ({ served }: { served: Served }) => (
  <>
    {served.status === "InService" ? undefined : (
      <Badge colorPalette={served.status.includes("Failed") ? "red" : "blue"} variant="surface">
        {served.status}
      </Badge>
    )}
    {firing(served).map((alarm) => (
      <Badge colorPalette="red" key={alarm.name} variant="surface">{`alarm ${alarm.name}`}</Badge>
    ))}
    {served.drift.length > 0 ? (
      <Badge colorPalette="orange" variant="surface">
        drift
      </Badge>
    ) : undefined}
  </>
);

/** Production in a few words, for the list of all models. */
export const ServedLine = ({ served }: { served: Served[] }) => {
  const production = served.find((one) => one.environment === "production");
  if (!production) {
    return null;
  }
  return (
    <Box color="fg.muted" fontSize="sm">
      {production.variants.map((one) => (
        <Text key={one.name}>
          {[
            `${one.name} ${releaseName(one.version)}`.trim(),
            percent(one.share),
            `${instances(one)} × ${one.instance_type || "?"}`,
          ].join(", ")}
        </Text>
      ))}
      <HStack gap={1} wrap="wrap">
        <Text>{production.cost_an_hour === null ? "no price" : `${about(production.cost_an_hour)} an hour`}</Text>
        <Troubles served={production} />
      </HStack>
    </Box>
  );
};

const HEADS = ["variant", "model", "share", "instances", "requests a minute", "errors", "p99", "an hour"];

const VariantRow = ({ one }: { one: ServedVariant }) => (
  <Table.Row>
    <Table.ColumnHeader fontWeight="normal" scope="row">
      {one.name}
    </Table.ColumnHeader>
    <Table.Cell>{releaseName(one.version) || "not registered"}</Table.Cell>
    <Table.Cell>{percent(one.share)}</Table.Cell>
    <Table.Cell>{`${instances(one)} × ${one.instance_type || "?"}`}</Table.Cell>
    <Table.Cell title={one.minute ? `in the minute of ${moment(one.minute)}` : "none in the last three minutes"}>
      {one.requests}
    </Table.Cell>
    <Table.Cell>{one.errors}</Table.Cell>
    <Table.Cell>{one.latency_p99_ms === null ? "–" : `${one.latency_p99_ms} ms`}</Table.Cell>
    <Table.Cell>{one.cost_an_hour === null ? "no price" : about(one.cost_an_hour)}</Table.Cell>
  </Table.Row>
);

const alarmWords = (served: Served) => {
  if (served.alarms.length === 0) {
    return "none are set up";
  }
  return served.alarms.map((one) => `${one.name}: ${one.state}`).join(", ");
};

const Endpoint = ({ now, served }: { now: string; served: Served }) => (
  <Stack gap={1}>
    <HStack gap={2} wrap="wrap">
      <Text overflowWrap="anywhere">{served.endpoint}</Text>
      {served.status === "InService" ? (
        <Badge colorPalette="green" variant="surface">
          InService
        </Badge>
      ) : undefined}
      <Troubles served={served} />
    </HStack>
    <Text color="fg.muted" fontSize="sm">
      changed <Age at={served.changed_at} now={now} />
    </Text>
    {served.failure ? (
      <Text color="fg.error" fontSize="sm" overflowWrap="anywhere">
        {served.failure}
      </Text>
    ) : undefined}
    <Wide label={`Variants of ${served.endpoint}`}>
      <Table.Root minW="36rem" size="sm" variant="line">
        <Heads of={HEADS} />
        <Table.Body>
          {served.variants.map((one) => (
            <VariantRow key={one.name} one={one} />
          ))}
        </Table.Body>
      </Table.Root>
    </Wide>
    <Text fontSize="sm">{`Alarms: ${alarmWords(served)}`}</Text>
    {served.drift.length > 0 ? (
      <Box fontSize="sm">
        <Text>Differs from its stack:</Text>
        <Box as="ul" listStyleType="disc" ps={5}>
          {served.drift.map((one) => (
            <Box as="li" key={one} overflowWrap="anywhere">
              {one}
            </Box>
          ))}
        </Box>
      </Box>
    ) : undefined}
    <Text fontSize="sm">
      {served.cost_an_hour === null
        ? "Cost: no price is known for one of its instance types"
        : `Cost: ${about(served.cost_an_hour)} an hour`}
    </Text>
  </Stack>
);

// Side by side where both tables fit: in a tab of Airflow's there is less room than in the window.
const COLUMNS = "repeat(auto-fit, minmax(min(100%, 38rem), 1fr))";

type EnvironmentsProps = { now: string; served: Served[]; survey: Survey };

/** Development and production side by side. */
export const ServedEnvironments = ({ now, served, survey }: EnvironmentsProps) => {
  const id = useId();
  return (
    <Box as="section" aria-labelledby={id}>
      <Heading as="h2" id={id} mb={1} size="md">
        What AWS serves
      </Heading>
      <SurveyNote now={now} survey={survey} />
      {survey.state === "none" ? undefined : (
        <Box display="grid" gap={3} gridTemplateColumns={COLUMNS} mt={2}>
          {["development", "production"].map((environment) => {
            const endpoints = served.filter((one) => one.environment === environment);
            return (
              <Box aria-label={environment} as="section" borderRadius="md" borderWidth="1px" key={environment} p={3}>
                <Heading as="h3" mb={1} size="sm">
                  {environment}
                </Heading>
                {endpoints.length === 0 ? <Text color="fg.muted">no endpoint</Text> : undefined}
                {endpoints.map((one) => (
                  <Endpoint key={one.endpoint} now={now} served={one} />
                ))}
              </Box>
            );
          })}
        </Box>
      )}
    </Box>
  );
};
