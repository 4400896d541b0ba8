import { Badge, Box, Heading, Stack, Text } from "@chakra-ui/react";
import type { ReactNode } from "react";

import { AwsLinks } from "./AwsLinks";
import { Changes } from "./Changes";
import type { Release } from "./client";
import { DecisionCard } from "./DecisionCard";
import { airflowUrl, decidedBy, modelUrl } from "./format";
import { NewAttempt } from "./NewAttempt";
import { Age, FailureBox, Figures, Go, Linked, Page, Problem, StageCell, Waiting } from "./parts";
import { Timeline } from "./Timeline";
import { TrafficPlots } from "./Traffic";
import { usePoll } from "./usePoll";

type Props = { dagId?: string; runId?: string };

/** One release: its failure first, then its question, then what is in it and how it went. */
export const ReleasePage = ({ dagId = "", runId = "" }: Props) => (
  <OneRelease dagId={dagId} key={`${dagId} ${runId}`} runId={runId} />
);

const OneRelease = ({ dagId, runId }: Required<Props>) => {
  const path = `releases/${encodeURIComponent(dagId)}/${encodeURIComponent(runId)}`;
  const { document: found, problem, refresh } = usePoll<Release>(path);
  return (
    <Page title={found ? `${dagId} ${found.name ?? ""}` : dagId}>
      <Problem problem={problem} />
      {found ? <Found found={found} refresh={refresh} /> : problem ? undefined : <Waiting />}
    </Page>
  );
};

// A release that has deployed nothing has no requests of its own.
const DEPLOYS = ["deploy_dev", "deploy_prd"];

const STATES: Record<string, string> = { failed: "red", queued: "gray", running: "blue", success: "green" };

/** What to say instead of the run's state, by the kind of what ended it: to Airflow, a skipped run is a success. */
const ENDS: Record<string, [string, string]> = {
  Rejected: ["rejected", "red"],
  ReleasedMeanwhile: ["skipped", "orange"],
  Superseded: ["superseded", "orange"],
};

// What a new attempt at the version answers.
const AGAIN = new Set(["ReleasedAlready", "ReleasedMeanwhile", "Superseded", "TrialFailed"]);

const Ended = ({ found }: { found: Release }) => {
  const end = found.failures.map((failure) => ENDS[failure.kind]).find(Boolean);
  const [word, palette] = end ?? [found.state, STATES[found.state] ?? "gray"];
  return <Badge colorPalette={palette}>{word}</Badge>;
};

const Found = ({ found, refresh }: { found: Release; refresh: () => void }) => (
  <Stack gap={5}>
    <Text>
      <Ended found={found} />{" "}
      {found.production ? `Production serves ${found.is_live && !found.production.includes(" and ") ? "it" : found.production}. ` : ""}
      {found.rolled_back_by ? `A roll-back, ordered by ${found.rolled_back_by}. ` : ""}
      <Go to={modelUrl(found.model)}>All releases of {found.model}</Go>,{" "}
      <Go to={airflowUrl(found.model, found.run_id)}>the run in Airflow</Go>
    </Text>
    {found.failures.map((failure) => (
      <FailureBox failure={failure} key={failure.task_id} model={found.model} now={found.at} />
    ))}
    {found.failures.some((failure) => AGAIN.has(failure.kind)) ? (
      <NewAttempt model={found.model} runId={found.run_id} />
    ) : undefined}
    {found.decisions.map((decision) => (
      <DecisionCard
        decision={decision}
        key={decision.task_id}
        model={found.model}
        now={found.at}
        onAnswered={refresh}
      />
    ))}
    <Section title="Stages">
      <Box display="grid" gap={3} gridTemplateColumns="repeat(auto-fit, minmax(10rem, 1fr))">
        {found.stages.map((stage) => (
          <Box key={stage.stage}>
            <Text fontWeight="semibold">{stage.stage}</Text>
            <StageCell model={found.model} now={found.at} stage={stage} />
          </Box>
        ))}
      </Box>
    </Section>
    {found.decided.length > 0 ? (
      <Section title="Decisions">
        {found.decided.map((one) => (
          <Box key={one.task_id}>
            <Text>
              {`${decidedBy(one)} `}
              <Age at={one.at} now={found.at} />
            </Text>
            {one.comment ? (
              <Text overflowWrap="anywhere" whiteSpace="pre-wrap">
                “<Linked text={one.comment} />”
              </Text>
            ) : undefined}
            {(one.approvals.length > 1 ? one.approvals : []).map((approval) => (
              <Text fontSize="sm" key={approval}>
                {approval}
              </Text>
            ))}
          </Box>
        ))}
      </Section>
    ) : undefined}
    {found.figures.length > 0 ? (
      <Section title="Figures">
        <Figures figures={found.figures} title="Measured before production" />
      </Section>
    ) : undefined}
    <Section title="What is in it">
      <Box as="dl" columnGap={3} display="grid" gridTemplateColumns={{ base: "1fr", md: "minmax(8rem, max-content) 1fr" }} rowGap={1}>
        {found.facts.map((fact) => (
          <Box display="contents" key={fact.name}>
            <Text as="dt" color="fg.muted">
              {fact.name}
            </Text>
            <Text as="dd" overflowWrap="anywhere">
              {fact.value}
            </Text>
          </Box>
        ))}
      </Box>
      {found.facts.length === 0 ? <Text>Nothing is known: no task has succeeded yet.</Text> : undefined}
    </Section>
    <Section title="The zip">
      <Changes comparison={found.comparison} whole />
    </Section>
    {found.links.length > 0 ? (
      <Section title="In AWS">
        <AwsLinks links={found.links} withTask />
      </Section>
    ) : undefined}
    {found.tasks.some((task) => DEPLOYS.includes(task.task_id) && task.ended) ? (
      <TrafficPlots model={found.model} runId={found.run_id} />
    ) : undefined}
    <Section title="Tasks">
      <Timeline found={found} />
    </Section>
  </Stack>
);

const Section = ({ children, title }: { children: ReactNode; title: string }) => (
  <Box as="section">
    <Heading as="h2" mb={2} size="md">
      {title}
    </Heading>
    {children}
  </Box>
);
