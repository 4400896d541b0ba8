import { Badge, Box, Button, Heading, HStack, Stack, Table, Text } from "@chakra-ui/react";
import { useId, useState } from "react";

import { type Model, type PastRelease, type PastReleases, RequestError, rollBack } from "./client";
import { AwsLinks } from "./AwsLinks";
import { DecisionCard } from "./DecisionCard";
import { decidedBy, moment, percent, releaseName, runUrl } from "./format";
import { Metrics } from "./Metrics";
import { Age, FailureBox, Go, Heads, Page, Problem, StageCell, Waiting, Wide } from "./parts";
import { ReleaseVersion } from "./ReleaseVersion";
import { ServedEnvironments } from "./Served";
import { TrafficPlots } from "./Traffic";
import { usePoll } from "./usePoll";

const LIMIT = 25;

/** One model: where it stands, its releases, and what to roll production back to. */
export const ModelPage = ({ dagId = "" }: { dagId?: string }) => <OneModel dagId={dagId} key={dagId} />;

const OneModel = ({ dagId }: { dagId: string }) => {
  const name = encodeURIComponent(dagId);
  const [offset, setOffset] = useState(0);
  const model = usePoll<Model>(`models/${name}`);
  const past = usePoll<PastReleases>(`models/${name}/releases?limit=${LIMIT}&offset=${offset}`);
  const refresh = () => {
    model.refresh();
    past.refresh();
  };
  return (
    <Page title={dagId}>
      <Problem problem={model.problem ?? past.problem} />
      {model.document ? <Now found={model.document} refresh={refresh} /> : model.problem ? undefined : <Waiting />}
      {model.document && past.document ? (
        <History model={model.document} past={past.document} refresh={refresh} />
      ) : undefined}
      {past.document && past.document.total > LIMIT ? (
        <HStack as="nav" aria-label="Pages of releases" mt={3}>
          <Button disabled={offset === 0} onClick={() => setOffset(offset - LIMIT)} size="sm" variant="outline">
            Newer
          </Button>
          <Text fontSize="sm">{`${offset + 1} to ${offset + past.document.releases.length} of ${past.document.total}`}</Text>
          <Button
            disabled={offset + LIMIT >= past.document.total}
            onClick={() => setOffset(offset + LIMIT)}
            size="sm"
            variant="outline"
          >
            Older
          </Button>
        </HStack>
      ) : undefined}
      {model.document ? <TrafficPlots model={dagId} /> : undefined}
      {past.document ? <Metrics releases={past.document.releases} /> : undefined}
    </Page>
  );
};

const Now = ({ found, refresh }: { found: Model; refresh: () => void }) => (
  <Stack gap={4} mb={5}>
    {found.row.failure ? <FailureBox failure={found.row.failure} model={found.row.model} now={found.at} /> : undefined}
    {found.row.decisions.map((decision) => (
      <DecisionCard
        decision={decision}
        key={`${decision.run_id} ${decision.task_id}`}
        model={found.row.model}
        now={found.at}
        onAnswered={refresh}
      />
    ))}
    <Box display="grid" gap={3} gridTemplateColumns="repeat(auto-fit, minmax(10rem, 1fr))">
      {found.row.stages.map((stage) => (
        <Box key={stage.stage}>
          <Text fontWeight="semibold">{stage.stage}</Text>
          <StageCell model={found.row.model} now={found.at} stage={stage} />
        </Box>
      ))}
    </Box>
    <Environments found={found} />
    <ServedEnvironments now={found.at} served={found.row.served} survey={found.survey} />
    <ReleaseVersion model={found.row.model} onStarted={refresh} />
  </Stack>
);

const Environments = ({ found }: { found: Model }) => (
  <Box>
    {["development", "production"].map((environment) => {
      const live = found.row.live.find((one) => one.environment === environment);
      return (
        <Box key={environment}>
          {`${environment}: `}
          {live ? (
            <>
              <Go to={runUrl(found.row.model, live.run_id)}>{releaseName(live.version) || "a release"}</Go>
              {", deployed "}
              <Age at={live.since} now={found.at} />
              {environment === "production" && found.row.production !== releaseName(live.version)
                ? `; it serves ${found.row.production ?? "another model"}`
                : ""}
              <AwsLinks links={live.links} />
            </>
          ) : (
            "nothing yet"
          )}
        </Box>
      );
    })}
    <Text>{`Approvers: ${found.approvers.join(", ") || "nobody"}`}</Text>
  </Box>
);

type HistoryProps = { model: Model; past: PastReleases; refresh: () => void };

const History = ({ model, past, refresh }: HistoryProps) => {
  const [target, setTarget] = useState<PastRelease>();
  const [said, setSaid] = useState<string>();
  const id = useId();
  if (past.releases.length === 0) {
    return <Text>No release yet. Upload trainingjob.zip to the bucket that the model file names.</Text>;
  }
  return (
    <Box as="section" aria-labelledby={`${id}-title`}>
      <Heading as="h2" id={`${id}-title`} mb={2} size="md">
        Releases
      </Heading>
      {model.roll_back_refusal ? (
        <Text fontSize="sm" id={`${id}-why`} mb={2}>
          {`Roll back: ${model.roll_back_refusal}`}
        </Text>
      ) : undefined}
      {target ? (
        <RollingBack
          model={model}
          onDone={(text) => {
            setSaid(text);
            setTarget(undefined);
            refresh();
          }}
          onCancel={() => setTarget(undefined)}
          target={target}
        />
      ) : undefined}
      <Text aria-live="polite">{said}</Text>
      <Wide label="Table of the releases">
        <Table.Root css={{ "& tbody tr:last-of-type > *": { borderBottomWidth: 0 } }} minW="50rem" size="sm" variant="outline">
          <Heads of={["release", "state", "started", "decision", "production", "roll back"]} />
          <Table.Body>
            {past.releases.map((one) => (
              <Line
                key={one.run_id}
                model={model}
                now={past.at}
                onChoose={() => {
                  setTarget(one);
                  setSaid(undefined);
                }}
                one={one}
                why={`${id}-why`}
              />
            ))}
          </Table.Body>
        </Table.Root>
      </Wide>
    </Box>
  );
};

type LineProps = { model: Model; now: string; onChoose: () => void; one: PastRelease; why: string };

const Line = ({ model, now, onChoose, one, why }: LineProps) => (
  <Table.Row>
    <Table.ColumnHeader fontWeight="normal" scope="row">
      <Go to={runUrl(model.row.model, one.run_id)}>{one.name || one.run_id}</Go>
      {one.rolls_back ? " (roll-back)" : ""}
    </Table.ColumnHeader>
    <Table.Cell>
      {one.state}
      {one.failure ? (
        <Text color="fg.muted" fontSize="sm">
          {one.failure.what}
        </Text>
      ) : undefined}
    </Table.Cell>
    <Table.Cell>
      <Age at={one.started} now={now} />
      {one.started_by ? ` by ${one.started_by}` : ""}
    </Table.Cell>
    <Table.Cell>
      {one.decided.length === 0 ? "–" : undefined}
      {one.decided.map((decided) => (
        <Box key={decided.task_id}>
          {decidedBy(decided)}
          {decided.comment ? (
            <Text color="fg.muted" fontSize="sm">
              {decided.comment}
            </Text>
          ) : undefined}
        </Box>
      ))}
    </Table.Cell>
    <Table.Cell>
      {one.reached_production_at ? <time dateTime={one.reached_production_at}>{moment(one.reached_production_at)}</time> : "–"}{" "}
      {one.is_live ? (
        <Badge colorPalette="green">{one.live_share === null ? "live" : `live · ${percent(one.live_share)}`}</Badge>
      ) : undefined}
    </Table.Cell>
    <Table.Cell>
      {one.roll_back_refusal ? (
        <Text color="fg.muted" fontSize="sm">
          {one.roll_back_refusal}
        </Text>
      ) : (
        <Button
          aria-describedby={model.may_roll_back ? undefined : why}
          aria-disabled={model.may_roll_back ? undefined : true}
          onClick={() => {
            if (model.may_roll_back) {
              onChoose();
            }
          }}
          opacity={model.may_roll_back ? undefined : 0.5}
          size="xs"
          variant="outline"
        >
          {`Roll back to ${releaseName(one.version)}`}
        </Button>
      )}
    </Table.Cell>
  </Table.Row>
);

type RollingBackProps = { model: Model; onCancel: () => void; onDone: (text: string) => void; target: PastRelease };

/** The second step of a roll-back: what it does, and the button that orders it. */
const RollingBack = ({ model, onCancel, onDone, target }: RollingBackProps) => {
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<string>();
  const now = model.row.production;
  const name = releaseName(target.version);

  const order = async () => {
    setSending(true);
    try {
      await rollBack(model.row.model, target.package_arn ?? "", name);
      onDone(`The roll-back to ${name} is ordered. It is the newest line below.`);
    } catch (error) {
      setProblem(error instanceof RequestError ? error.detail : String(error));
      setSending(false);
    }
  };

  return (
    <Box aria-label={`Roll back to ${name}`} as="section" borderRadius="md" borderWidth="1px" mb={3} p={3}>
      <Text>
        {`Production gets ${name} again${now ? `, instead of ${now}` : ""}, at once and without training. Its approval on record must still be valid.`}
      </Text>
      <HStack mt={2}>
        <Button colorPalette="red" disabled={sending} onClick={() => void order()} size="sm">
          {sending ? "Sending…" : `Roll production back to ${name}`}
        </Button>
        <Button onClick={onCancel} size="sm" variant="ghost">
          Cancel
        </Button>
      </HStack>
      {problem ? (
        <Text color="fg.error" role="alert">
          {problem}
        </Text>
      ) : undefined}
    </Box>
  );
};
