-- input `x` of bipolar
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity bipolar_x is
  port (
    clk : in  std_logic;
    in_x : in  unsigned(15 downto 0);
    result : out unsigned(12 downto 0));
end entity bipolar_x;

architecture rtl of bipolar_x is
  signal x0 : unsigned(1 downto 0);
  signal y0 : std_logic;
  signal y0_r1 : std_logic;
  signal x1 : unsigned(1 downto 0);
  signal y1 : std_logic;
  signal y1_r1 : std_logic;
  signal x2 : unsigned(1 downto 0);
  signal y2 : std_logic;
  signal x3 : unsigned(1 downto 0);
  signal y3 : std_logic;
  signal x4 : unsigned(1 downto 0);
  signal y4 : std_logic;
  signal y4_r1 : std_logic;
  signal x5 : unsigned(1 downto 0);
  signal y5 : std_logic;
  signal y5_r1 : std_logic;
  signal x6 : unsigned(1 downto 0);
  signal y6 : std_logic;
  signal y6_r1 : std_logic;
  signal x7 : unsigned(1 downto 0);
  signal y7 : std_logic;
begin
  x0 <= in_x(1 downto 0);
  y0 <= x0(1);
  x1 <= in_x(3 downto 2);
  y1 <= x1(1);
  x2 <= in_x(5 downto 4);
  y2 <= x2(1);
  x3 <= in_x(7 downto 6);
  y3 <= x3(1);
  x4 <= in_x(9 downto 8);
  y4 <= x4(1);
  x5 <= in_x(11 downto 10);
  y5 <= x5(1);
  x6 <= in_x(13 downto 12);
  y6 <= x6(1);
  x7 <= in_x(15 downto 14);
  y7 <= x7(1);
  result <= y7 & y6_r1 & y6 & y5_r1 & y5 & y4_r1 & y4 & y3 & y2 & y1_r1 & y1 & y0_r1 & y0;

  process (clk)
  begin
    if rising_edge(clk) then
      y0_r1 <= y0;
      y1_r1 <= y1;
      y4_r1 <= y4;
      y5_r1 <= y5;
      y6_r1 <= y6;
    end if;
  end process;

end architecture rtl;
