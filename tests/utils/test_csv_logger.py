from pathlib import Path

from dlctl.utils.csv_logger import CSVLogger


def lines(logger: CSVLogger) -> list[str]:
    return Path(logger.log_dir, "metrics.csv").read_text().splitlines()


def test_one_step_is_one_row_whatever_order_its_metrics_come_in(tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path))
    for epoch, step in ((0, 9), (1, 19)):
        logger.log_metrics({"val/acc": 0.5 + epoch, "epoch": epoch}, step)
        logger.save()
        logger.log_metrics({"train/loss": 2.0, "epoch": epoch}, step)
        logger.save()
    logger.log_metrics({"test/acc": 0.25, "epoch": 2}, 20)
    logger.finalize("success")
    assert lines(logger) == [
        "epoch,step,val/acc,train/loss,test/acc",
        "0,9,0.5,2.0,",
        "1,19,1.5,2.0,",
        ",20,,,0.25",
    ]


def test_second_start_goes_on_and_a_rewind_drops_what_is_done_again(tmp_path: Path) -> None:
    first = CSVLogger(str(tmp_path))
    for epoch in range(3):
        first.log_metrics({"a": epoch, "epoch": epoch}, 10 * epoch + 9)
        first.save()
    first.log_metrics({"test/a": 1, "epoch": 3}, 30)
    first.save()
    with first.file.open("a") as stream:
        stream.write("3,3")  # cut short by a crash
    second = CSVLogger(str(tmp_path))
    second.rewind(20)
    second.log_metrics({"a": 7, "b": 8, "epoch": 2}, 29)
    second.save()
    assert lines(second) == ["epoch,step,a,test/a,b", "0,9,0,,", "1,19,1,,", ",30,,1,", "2,29,7,,8"]


def test_prefix_is_put_before_metrics(tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path), name="table", prefix="x-")
    logger.log_metrics({"a": 1, "epoch": 0}, 0)
    logger.save()
    assert lines(logger) == ["epoch,step,x-a", "0,0,1"]
