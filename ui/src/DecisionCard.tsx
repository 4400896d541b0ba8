import { Box, Button, Heading, HStack, Text, Textarea } from "@chakra-ui/react";
import { useEffect, useId, useRef, useState } from "react";

import { Changes } from "./Changes";
import { answer, type Decision, type Option, RequestError } from "./client";
import { left, moment, releaseName, runUrl } from "./format";
import { Age, Figures, Go } from "./parts";

const PALETTES: Record<string, string> = { Approve: "green", Keep: "gray", Promote: "green", Reject: "red", Retire: "red" };

type Props = {
  decision: Decision;
  /** Its heading's place in the page's outline. */
  heading?: "h2" | "h3";
  model: string;
  now: string;
  onAnswered: () => void;
};

/** A question, what its answers do, and its buttons. */
export const DecisionCard = ({ decision, heading = "h2", model, now, onAnswered }: Props) => {
  const [chosen, setChosen] = useState<Option>();
  // When the question that was answered here was asked: it may be asked again.
  const [answered, setAnswered] = useState<{ askedAt: string | null; text: string }>();
  const said = answered?.askedAt === decision.asked_at ? answered?.text : undefined;
  const id = useId();
  const refusals = [...new Set(decision.options.map((option) => option.refusal).filter(Boolean))];

  return (
    <Box as="section" aria-labelledby={`${id}-title`} borderRadius="md" borderWidth="1px" p={4}>
      <Heading as={heading} id={`${id}-title`} size="md">
        <Go to={runUrl(model, decision.run_id)}>{`${model} ${releaseName(decision.version)}`}</Go>
      </Heading>
      <Text fontWeight="semibold" mt={1}>
        {`${decision.options[0]?.name ?? ""}: ${decision.effect}`}
      </Text>
      <Text color="fg.muted" fontSize="sm">
        {`${decision.subject} ${decision.waits_for}; asked `}
        <Age at={decision.asked_at} now={now} />
        {decision.ends_at ? `, open until ${moment(decision.ends_at)} (${left(decision.ends_at, now)})` : ""}
        {decision.uploader ? `; uploaded by ${decision.uploader}` : ""}
      </Text>
      {decision.approvals.map((one) => (
        <Text fontSize="sm" key={one}>
          {one}
        </Text>
      ))}
      {decision.changes?.same_zip ? <Changes comparison={decision.changes} /> : undefined}
      {decision.changes && !decision.changes.same_zip ? (
        <details>
          <summary>What changes against the live zip</summary>
          <Changes comparison={decision.changes} />
        </details>
      ) : undefined}
      <details>
        <summary>Figures of the candidate and of the live model</summary>
        <Figures figures={decision.figures} title={`${releaseName(decision.version)} beside ${releaseName(decision.live_version) || "nothing"}`} />
      </details>
      <HStack mt={3} wrap="wrap">
        {(said ? [] : decision.options).map((option) => (
          <Button
            aria-describedby={option.refusal ? `${id}-why` : undefined}
            aria-disabled={option.refusal ? true : undefined}
            aria-expanded={option.refusal ? undefined : chosen?.name === option.name}
            colorPalette={PALETTES[option.name] ?? "gray"}
            key={option.name}
            onClick={() => {
              if (!option.refusal) {
                setChosen(chosen?.name === option.name ? undefined : option);
              }
            }}
            opacity={option.refusal ? 0.5 : undefined}
            size="sm"
            variant={chosen?.name === option.name ? "solid" : "outline"}
          >
            {option.name}
          </Button>
        ))}
      </HStack>
      {refusals.length > 0 ? (
        <Text fontSize="sm" id={`${id}-why`} mt={1}>
          {refusals.join(" ")}
        </Text>
      ) : undefined}
      {chosen ? (
        <Answering
          decision={decision}
          key={chosen.name}
          model={model}
          onAnswered={(text) => {
            setAnswered({ askedAt: decision.asked_at, text });
            setChosen(undefined);
            onAnswered();
          }}
          onCancel={() => setChosen(undefined)}
          option={chosen}
        />
      ) : undefined}
      <Text aria-live="polite" fontSize="sm">
        {said}
      </Text>
    </Box>
  );
};

type AnsweringProps = {
  decision: Decision;
  model: string;
  onAnswered: (text: string) => void;
  onCancel: () => void;
  option: Option;
};

/** The second step of an answer: what it does, a comment, and the button that sends it. */
const Answering = ({ decision, model, onAnswered, onCancel, option }: AnsweringProps) => {
  const [comment, setComment] = useState("");
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<string>();
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  // The next step follows the press of a button, so the keyboard goes there.
  useEffect(() => field.current?.focus(), []);

  const submit = async () => {
    setSending(true);
    setProblem(undefined);
    try {
      await answer(model, decision, option.name, comment);
      onAnswered(`Your answer is stored: ${option.name}. This page shows within seconds what follows.`);
    } catch (error) {
      setProblem(error instanceof RequestError ? error.detail : String(error));
      setSending(false);
    }
  };

  return (
    <Box
      as="form"
      borderTopWidth="1px"
      mt={3}
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
      pt={3}
    >
      <Text>{option.effect}</Text>
      <label htmlFor={`${id}-comment`}>Comment, saved with the decision</label>
      <Textarea
        id={`${id}-comment`}
        maxLength={1024}
        onChange={(event) => setComment(event.target.value)}
        ref={field}
        rows={2}
        value={comment}
      />
      <HStack mt={2}>
        <Button colorPalette={PALETTES[option.name] ?? "gray"} disabled={sending} size="sm" type="submit">
          {sending ? "Sending…" : `${option.name} ${releaseName(decision.version)}`}
        </Button>
        <Button onClick={onCancel} size="sm" type="button" variant="ghost">
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
