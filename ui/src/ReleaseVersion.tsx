import { Box, Button, HStack, NativeSelect, Text } from "@chakra-ui/react";
import { useId, useState } from "react";

import type { Version, Versions } from "./client";
import { runUrl } from "./format";
import { Go, Problem, Waiting } from "./parts";
import { StartButton } from "./StartButton";
import { usePoll } from "./usePoll";

/** How a run stands, after its name. */
const ENDED: Record<string, string> = { failed: "failed", queued: "is queued", running: "is running", success: "succeeded" };

type Props = { model: string; onStarted: () => void };

/** A release by hand: a button, then the list of versions and what a release of the chosen one does. */
export const ReleaseVersion = ({ model, onStarted }: Props) => {
  const [open, setOpen] = useState(false);
  return open ? (
    <Choice model={model} onClose={() => setOpen(false)} onStarted={onStarted} />
  ) : (
    <Box>
      <Button onClick={() => setOpen(true)} size="sm" variant="outline">
        Release a version
      </Button>
    </Box>
  );
};

const Choice = ({ model, onClose, onStarted }: Props & { onClose: () => void }) => {
  const { document: found, problem } = usePoll<Versions>(`models/${encodeURIComponent(model)}/versions`);
  const [wanted, setWanted] = useState<string>();
  const id = useId();
  const chosen = found?.versions.find((one) => one.version_id === wanted) ?? found?.versions[0];
  return (
    <Box aria-label="Release a version" as="section" borderRadius="md" borderWidth="1px" p={3}>
      <Problem problem={problem} />
      {found || problem ? undefined : <Waiting />}
      {found && !chosen ? (
        <Text>No version yet. Upload trainingjob.zip to the bucket that the model file names: the upload is released by itself.</Text>
      ) : undefined}
      {found && chosen ? (
        <>
          <label htmlFor={id}>Version</label>
          <NativeSelect.Root mb={2} mt={1} size="sm" width="auto">
            <NativeSelect.Field id={id} onChange={(event) => setWanted(event.target.value)} value={chosen.version_id}>
              {found.versions.map((one) => (
                <option key={`${one.key} ${one.version_id}`} value={one.version_id}>
                  {`${one.name} (${one.released ? `its release ${ENDED[one.state] ?? "is there"}` : "not released yet"})`}
                </option>
              ))}
            </NativeSelect.Field>
            <NativeSelect.Indicator />
          </NativeSelect.Root>
          <Explained chosen={chosen} model={model} />
          <StartButton
            key={chosen.version_id}
            label={chosen.released ? "Release it again as a new attempt" : "Release it"}
            model={model}
            onStarted={onStarted}
            refusal={found.refusal}
            version={chosen}
          />
        </>
      ) : undefined}
      <HStack mt={2}>
        <Button onClick={onClose} size="sm" variant="ghost">
          Close
        </Button>
      </HStack>
    </Box>
  );
};

const Explained = ({ chosen, model }: { chosen: Version; model: string }) => (
  <Text mb={2} overflowWrap="anywhere">
    <Go to={runUrl(model, chosen.run_id)}>{chosen.released ? "Its release" : "The run that was started for it"}</Go>
    {` ${ENDED[chosen.state] ?? "is there"}`}
    {chosen.released ? ". A new attempt trains a new model and asks for approval again." : " and has not released it."}
    {` S3's version id: ${chosen.version_id}`}
  </Text>
);
